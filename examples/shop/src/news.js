// Offers the load that shows the release which has become the default meanwhile. Never loads by itself: whoever is in
// the middle of something decides when.

import { h } from './dom.js';

export function offerUpdates() {
  // Absent where the shop is served without Cutover.
  globalThis.cutover?.onUpdate?.(() => {
    document.querySelector('#news')?.remove();
    document.body.append(
      h(
        'aside',
        { id: 'news', class: 'news', role: 'status' },
        h('span', {}, 'The shop has changed.'),
        h('button', { type: 'button', onclick: () => location.reload() }, 'Show me'),
        h('button', { type: 'button', onclick: () => document.querySelector('#news').remove() }, 'Later'),
      ),
    );
  });
}
