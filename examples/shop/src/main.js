// Starts the shop: frame first, then the route that the address names.

import { api } from './api.js';
import { showCartCount, showFrame } from './frame.js';
import { offerUpdates } from './news.js';
import { start } from './router.js';
import { registerWorker } from './worker.js';

showFrame();
start(document.querySelector('#main'));
registerWorker();
offerUpdates();

// The basket's number is decoration: where it cannot be had, the page is whole without it.
api.cart().then(showCartCount, () => {});
