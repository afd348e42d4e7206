// Talks to the service. What answers look like belongs to the release and is read in `shape.js` alone.

import { cartLine, readCart, readOrder, readProduct, readProducts, SHAPE } from './shape.js';

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }
}

async function call(path, options = {}) {
  const response = await fetch(path, { signal: AbortSignal.timeout(20_000), ...options });
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(body?.error ?? `the shop answered ${response.status}`, response.status);
  // A page that gets an answer made for another release must not guess: it stops where everybody sees it.
  if (body?.shape !== SHAPE) {
    throw new ApiError(`this page reads answers of shape ${SHAPE} and got shape ${body?.shape}`, response.status);
  }
  return body;
}

function post(path, body) {
  return call(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

export const api = {
  products: async () => readProducts(await call('/api/products')),
  product: async (id) => readProduct(await call(`/api/products/${encodeURIComponent(id)}`)),
  cart: async () => readCart(await call('/api/cart')),
  setLine: async (id, quantity) => readCart(await post('/api/cart', cartLine(id, quantity))),
  order: async () => readOrder(await post('/api/orders', {})),
  orders: async () => (await call('/api/orders')).orders.map((order) => readOrder({ shape: SHAPE, order })),
  me: async () => (await call('/api/me')).name,
  logout: () => post('/api/logout', {}),
};
