// Builds elements. Text is only ever set as text, so that nothing from a service becomes markup.

export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const money = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' });

export function price(cents) {
  if (!Number.isInteger(cents)) throw new TypeError(`not an amount in cents: ${JSON.stringify(cents)}`);
  return money.format(cents / 100);
}

// A message in place of a page or a part of it.
export function notice(kind, title, text, ...actions) {
  return h(
    'section',
    { class: `notice ${kind}`, role: kind === 'problem' ? 'alert' : 'status' },
    h('h1', { tabindex: '-1' }, title),
    h('p', {}, text),
    h('div', { class: 'row' }, actions),
  );
}
