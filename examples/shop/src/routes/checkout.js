// The last step before an order. It needs a name, so it may lead through the login and back.

import { api } from '../api.js';
import { h, notice, price } from '../dom.js';
import { showCartCount } from '../frame.js';
import { go } from '../go.js';

export default async function checkout() {
  const [cart, name] = await Promise.all([api.cart(), api.me()]);
  if (cart.count === 0) {
    return {
      title: 'Check out',
      element: notice('calm', 'Nothing to check out', 'Your basket is empty.', h('a', { class: 'button', href: '/' }, 'To the shop')),
    };
  }
  const said = h('p', { role: 'alert', class: 'said' });
  const place = h('button', { type: 'button', class: 'primary', onclick: order }, `Order for ${price(cart.cents)}`);

  async function order() {
    place.disabled = true;
    try {
      const placed = await api.order();
      showCartCount({ count: 0 });
      go(`/order/${placed.id}`);
    } catch (error) {
      console.error(error);
      place.disabled = false;
      said.replaceChildren(`That did not work: ${error.message}`);
    }
  }

  return {
    title: 'Check out',
    element: h(
      'section',
      { class: 'narrow' },
      h('h1', { tabindex: '-1' }, 'Check out'),
      h('p', {}, `${cart.count} ${cart.count === 1 ? 'item' : 'items'}, ${price(cart.cents)}.`),
      name === null
        ? h('a', { class: 'button primary', href: '/api/login?to=/checkout', 'data-load': '' }, 'Log in to order')
        : h('div', {}, h('p', {}, `Ordering as ${name}.`), place),
      said,
    ),
  };
}
