// The products a visitor likes, kept in their browser.

const KEY = 'favourites';

export function favourites() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return new Set(Array.isArray(kept) ? kept : []);
  } catch {
    return new Set();
  }
}

export function toggle(id) {
  const kept = favourites();
  if (!kept.delete(id)) kept.add(id);
  localStorage.setItem(KEY, JSON.stringify([...kept]));
  return kept.has(id);
}
