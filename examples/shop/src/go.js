// Moves to another page of the shop. Apart from the router, so that pages can use it without importing what loads them.

export function go(path) {
  history.pushState(null, '', path);
  dispatchEvent(new Event('shop:moved'));
}
