// The service's answers as release one has them: prices are whole cents, a cart line names its product.

export const SHAPE = 1;

function product(raw) {
  return { ...raw, cents: raw.price };
}

export function readProducts(body) {
  return body.products.map(product);
}

export function readProduct(body) {
  return product(body.product);
}

export function readCart(body) {
  return {
    lines: body.lines.map((line) => ({ ...line, id: line.product, cents: line.price })),
    count: body.lines.reduce((sum, line) => sum + line.quantity, 0),
    cents: body.total,
  };
}

export function cartLine(id, quantity) {
  return { product: id, quantity };
}

export function readOrder(body) {
  return { id: body.order.id, count: body.order.count, cents: body.order.total };
}
