// What stands around every page: name, navigation, the basket's number, and which release this is.

import { h } from './dom.js';
import { extraLinks, release } from './release.js';

const links = [{ href: '/', text: 'Shop' }, ...extraLinks, { href: '/account', text: 'Account' }];

export function showFrame() {
  document.documentElement.dataset.release = release.key;
  const count = h('span', { class: 'count', id: 'cart-count', 'aria-hidden': 'true' }, '0');
  document.querySelector('#header').append(
    h('a', { class: 'brand', href: '/' }, h('span', { class: 'mark', 'aria-hidden': 'true' }), 'Kiln & Loom'),
    h(
      'nav',
      { 'aria-label': 'Main' },
      links.map(({ href, text }) => h('a', { href }, text)),
      h('a', { href: '/cart', id: 'cart-link', 'aria-label': 'Basket, empty' }, 'Basket', count),
    ),
  );
  document.querySelector('#footer').append(
    h('p', {}, 'An example shop. Nothing here can be bought.'),
    h('p', { class: 'release', id: 'release' }, release.title),
  );
}

export function showCartCount(cart) {
  document.querySelector('#cart-count').textContent = String(cart.count);
  document.querySelector('#cart-link').setAttribute(
    'aria-label',
    cart.count === 0 ? 'Basket, empty' : `Basket, ${cart.count} ${cart.count === 1 ? 'item' : 'items'}`,
  );
}

export function markCurrent(path) {
  for (const link of document.querySelectorAll('nav a')) {
    if (link.getAttribute('href') === path) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}
