// The basket.

import { api } from '../api.js';
import { h, notice, price } from '../dom.js';
import { showCartCount } from '../frame.js';
import { images } from '../images.js';

export default async function cart() {
  const holder = h('section', { class: 'basket' });
  draw(await api.cart());
  return { title: 'Basket', element: holder };

  function draw(content) {
    showCartCount(content);
    if (content.count === 0) {
      holder.replaceChildren(
        notice('calm', 'Your basket is empty', 'Look around, there is no hurry.', h('a', { class: 'button', href: '/' }, 'To the shop')),
      );
      return;
    }
    holder.replaceChildren(
      h('h1', { tabindex: '-1' }, 'Basket'),
      h('ul', { class: 'lines' }, content.lines.map(line)),
      h('p', { class: 'total' }, 'Total ', h('strong', {}, price(content.cents))),
      h('a', { class: 'button primary', href: '/checkout' }, 'Check out'),
    );
  }

  function line(item) {
    const quantity = h('input', {
      type: 'number',
      min: '0',
      max: '99',
      value: String(item.quantity),
      'aria-label': `Quantity of ${item.name}`,
      onchange: () => change(item, Number.parseInt(quantity.value, 10)),
    });
    return h(
      'li',
      {},
      h('img', { src: images[item.id], alt: '', width: '96', height: '72' }),
      h('a', { href: `/product/${item.id}` }, item.name),
      quantity,
      h('span', { class: 'price' }, price(item.cents * item.quantity)),
    );
  }

  async function change(item, quantity) {
    try {
      draw(await api.setLine(item.id, Number.isInteger(quantity) ? quantity : item.quantity));
    } catch (error) {
      console.error(error);
      holder.prepend(h('p', { role: 'alert', class: 'said' }, `That did not work: ${error.message}`));
    }
  }
}
