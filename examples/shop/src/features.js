// Places in the pages that a later release fills.

export function onCard() {
  return null;
}

export function belowProduct() {
  return null;
}
