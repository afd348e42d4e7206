// A product in a list.

import { h, price } from './dom.js';
import { onCard } from './features.js';
import { images } from './images.js';

export function card(product) {
  return h(
    'li',
    { class: 'card' },
    h(
      'a',
      { href: `/product/${product.id}` },
      h('img', { src: images[product.id], alt: '', width: '400', height: '300' }),
      h('span', { class: 'name' }, product.name),
      h('span', { class: 'blurb' }, product.blurb),
      h('span', { class: 'price' }, price(product.cents)),
    ),
    onCard(product),
  );
}
