// All products.

import { api } from '../api.js';
import { card } from '../card.js';
import { h } from '../dom.js';
import { release } from '../release.js';

export default async function catalogue() {
  const products = await api.products();
  return {
    title: 'Shop',
    element: h(
      'section',
      {},
      h('h1', { tabindex: '-1' }, release.greeting),
      h('p', { class: 'lead' }, 'Eight objects for the house, made slowly.'),
      h('ul', { class: 'grid' }, products.map(card)),
    ),
  };
}
