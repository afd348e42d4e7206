// One product.

import { api, ApiError } from '../api.js';
import { card } from '../card.js';
import { h, notice, price } from '../dom.js';
import { belowProduct, onCard } from '../features.js';
import { showCartCount } from '../frame.js';
import { images } from '../images.js';

export default async function product(id) {
  let item;
  try {
    item = await api.product(id);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    return {
      title: 'Not found',
      element: notice('calm', 'We do not sell this', 'It may have been sold out.', h('a', { class: 'button', href: '/' }, 'To the shop')),
    };
  }
  const said = h('p', { role: 'status', class: 'said' });
  const add = h('button', { type: 'button', class: 'primary', onclick: put }, 'Put into basket');

  async function put() {
    add.disabled = true;
    try {
      const cart = await api.cart();
      const held = cart.lines.find((line) => line.id === item.id)?.quantity ?? 0;
      showCartCount(await api.setLine(item.id, held + 1));
      said.replaceChildren('In your basket. ', h('a', { href: '/cart' }, 'See basket'));
    } catch (error) {
      console.error(error);
      said.replaceChildren(`That did not work: ${error.message}`);
    } finally {
      add.disabled = false;
    }
  }

  return {
    title: item.name,
    element: h(
      'article',
      {},
      h(
        'div',
        { class: 'product' },
        h('img', { src: images[item.id], alt: item.name, width: '400', height: '300' }),
        h(
          'div',
          { class: 'about' },
          h('h1', { tabindex: '-1' }, item.name),
          h('p', { class: 'price' }, price(item.cents)),
          h('p', {}, item.story),
          h('div', { class: 'row' }, add, onCard(item)),
          said,
        ),
      ),
      await belowProduct(item, card),
    ),
  };
}
