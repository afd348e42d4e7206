// Navigation inside the page. Every route is a chunk of its own, loaded when it is first visited: after a release has
// been replaced, open pages still ask for the chunks they were built with.

import { h, notice } from './dom.js';
import { markCurrent } from './frame.js';
import { go } from './go.js';
import { extraRoutes } from './release.js';

const routes = [
  { path: /^\/$/, load: () => import('./routes/catalogue.js') },
  { path: /^\/product\/([a-z0-9-]+)$/, load: () => import('./routes/product.js') },
  { path: /^\/cart$/, load: () => import('./routes/cart.js') },
  { path: /^\/checkout$/, load: () => import('./routes/checkout.js') },
  { path: /^\/account$/, load: () => import('./routes/account.js') },
  { path: /^\/order\/([a-z0-9]+)$/, load: () => import('./routes/order.js') },
  ...extraRoutes,
];

let outlet;
let turn = 0;

export function start(element) {
  outlet = element;
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[href]');
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target || link.hasAttribute('download') || link.dataset.load !== undefined) return;
    const to = new URL(link.href);
    if (to.origin !== location.origin || to.hash) return;
    event.preventDefault();
    go(to.pathname + to.search);
  });
  addEventListener('shop:moved', () => show(true));
  addEventListener('popstate', () => show(false));
  show(false);
}

async function show(moved) {
  const mine = ++turn;
  const path = location.pathname;
  outlet.setAttribute('aria-busy', 'true');
  let page;
  try {
    page = await render(path);
  } catch (error) {
    console.error(error);
    page = {
      title: 'Something went wrong',
      element: notice(
        'problem',
        'Something went wrong',
        error.message,
        h('button', { type: 'button', onclick: () => location.reload() }, 'Load again'),
      ),
    };
  }
  // Whoever clicked twice sees the second page only.
  if (mine !== turn) {
    page.leave?.();
    return;
  }
  outlet.leave?.();
  outlet.leave = page.leave;
  outlet.replaceChildren(page.element);
  outlet.removeAttribute('aria-busy');
  outlet.dataset.path = path;
  document.title = `${page.title} · Kiln & Loom`;
  markCurrent(path);
  if (moved) {
    scrollTo(0, 0);
    outlet.querySelector('h1')?.focus({ preventScroll: true });
  }
}

async function render(path) {
  for (const route of routes) {
    const match = route.path.exec(path);
    if (match) return (await route.load()).default(...match.slice(1));
  }
  return {
    title: 'Not found',
    element: notice('calm', 'There is no such page', 'The address may be mistyped.', h('a', { class: 'button', href: '/' }, 'To the shop')),
  };
}
