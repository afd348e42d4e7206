// An order on its way, told by the service as it happens.

import { h } from '../dom.js';

export default async function order(id) {
  const steps = ['Received', 'Packed', 'Handed over', 'Delivered'].map((text) => h('li', {}, text));
  const said = h('p', { role: 'status' }, 'Waiting for news');
  const news = new EventSource(`/api/events?order=${encodeURIComponent(id)}`);
  news.addEventListener('progress', (event) => {
    const { step } = JSON.parse(event.data);
    steps.forEach((element, index) => element.classList.toggle('done', index <= step));
    said.textContent = step >= steps.length - 1 ? 'It has arrived.' : `${steps[step].textContent}.`;
    // The service ends the stream after the last step; without closing, the browser would ask again for ever.
    if (step >= steps.length - 1) news.close();
  });
  return {
    title: `Order ${id}`,
    leave: () => news.close(),
    element: h(
      'section',
      { class: 'narrow' },
      h('h1', { tabindex: '-1' }, 'Thank you'),
      h('p', {}, `Your order is number ${id}.`),
      h('ol', { class: 'progress' }, steps),
      said,
      h('a', { class: 'button', href: '/' }, 'Back to the shop'),
    ),
  };
}
