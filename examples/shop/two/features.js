// What release two adds to the pages of release one.

import { api } from './api.js';
import { h } from './dom.js';
import { favourites, toggle } from './favourites.js';

export function onCard(product) {
  const button = h('button', {
    type: 'button',
    class: 'heart',
    'aria-pressed': String(favourites().has(product.id)),
    'aria-label': `Favourite: ${product.name}`,
    onclick: () => button.setAttribute('aria-pressed', String(toggle(product.id))),
  });
  return button;
}

export async function belowProduct(product, card) {
  const others = (await api.products()).filter(
    (other) => other.id !== product.id && other.category === product.category,
  );
  if (others.length === 0) return null;
  return h('section', { class: 'related' }, h('h2', {}, 'Goes well with'), h('ul', { class: 'grid' }, others.map(card)));
}
