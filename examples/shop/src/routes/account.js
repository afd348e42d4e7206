// Who one is, and what one ordered.

import { api } from '../api.js';
import { h, price } from '../dom.js';
import { go } from '../go.js';

export default async function account() {
  const [name, orders] = await Promise.all([api.me(), api.orders()]);
  return {
    title: 'Account',
    element: h(
      'section',
      { class: 'narrow' },
      h('h1', { tabindex: '-1' }, name === null ? 'Account' : `Hello, ${name}`),
      name === null
        ? h('a', { class: 'button primary', href: '/api/login?to=/account', 'data-load': '' }, 'Log in')
        : h('button', { type: 'button', onclick: leave }, 'Log out'),
      h('h2', {}, 'Orders'),
      orders.length === 0
        ? h('p', {}, 'None yet.')
        : h('ul', { class: 'lines' }, orders.map((order) =>
            h('li', {}, h('a', { href: `/order/${order.id}` }, `Order ${order.id}`), h('span', { class: 'price' }, price(order.cents))),
          )),
    ),
  };

  async function leave() {
    await api.logout();
    go('/account');
  }
}
