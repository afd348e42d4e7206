// What the visitor likes.

import { api } from '../api.js';
import { card } from '../card.js';
import { h, notice } from '../dom.js';
import { favourites } from '../favourites.js';

export default async function favouritesPage() {
  const kept = favourites();
  const products = (await api.products()).filter((product) => kept.has(product.id));
  return {
    title: 'Favourites',
    element:
      products.length === 0
        ? notice('calm', 'No favourites yet', 'Touch the heart of what you like.', h('a', { class: 'button', href: '/' }, 'To the shop'))
        : h('section', {}, h('h1', { tabindex: '-1' }, 'Favourites'), h('ul', { class: 'grid' }, products.map(card))),
  };
}
