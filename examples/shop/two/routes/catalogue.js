// All products, to be searched and narrowed to a room.

import { api } from '../api.js';
import { card } from '../card.js';
import { h } from '../dom.js';
import { release } from '../release.js';

export default async function catalogue() {
  const products = await api.products();
  const rooms = ['All', ...new Set(products.map((product) => product.category))];
  let room = 'All';

  const list = h('ul', { class: 'grid featured' });
  const found = h('p', { role: 'status', class: 'found' });
  const search = h('input', { type: 'search', placeholder: 'Search', 'aria-label': 'Search products', oninput: draw });
  const chips = rooms.map((name) =>
    h('button', { type: 'button', class: 'chip', 'aria-pressed': String(name === room), onclick: () => choose(name) }, name),
  );

  function choose(name) {
    room = name;
    chips.forEach((chip) => chip.setAttribute('aria-pressed', String(chip.textContent === room)));
    draw();
  }

  function draw() {
    const words = search.value.trim().toLowerCase();
    const shown = products.filter(
      (product) =>
        (room === 'All' || product.category === room) &&
        `${product.name} ${product.blurb}`.toLowerCase().includes(words),
    );
    list.replaceChildren(...shown.map(card));
    found.textContent = `${shown.length} of ${products.length}`;
  }

  draw();
  return {
    title: 'Shop',
    element: h(
      'section',
      {},
      h(
        'div',
        { class: 'hero' },
        h('h1', { tabindex: '-1' }, release.greeting),
        h('p', {}, 'Eight objects for the house, now sorted by room.'),
        search,
      ),
      h('div', { class: 'chips', role: 'group', 'aria-label': 'Room' }, chips, found),
      list,
    ),
  };
}
