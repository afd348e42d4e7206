// The service's answers as release two has them: prices are amounts with a currency, lists are `items`.

export const SHAPE = 2;

function cents({ amount, currency }) {
  if (currency !== 'EUR') throw new TypeError(`this shop sells in EUR, not in ${currency}`);
  return Math.round(Number(amount) * 100);
}

function product(raw) {
  return { ...raw, cents: cents(raw.price) };
}

export function readProducts(body) {
  return body.items.map(product);
}

export function readProduct(body) {
  return product(body.item);
}

export function readCart(body) {
  return {
    lines: body.items.map((line) => ({ ...line, cents: cents(line.price) })),
    count: body.count,
    cents: cents(body.total),
  };
}

export function cartLine(id, quantity) {
  return { item: { id, quantity } };
}

export function readOrder(body) {
  return { id: body.order.id, count: body.order.count, cents: cents(body.order.total) };
}
