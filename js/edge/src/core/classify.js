// What kind of request it is: whether a tab wants a document, or a document wants something.

import { lower } from './text.js';

// `navigation`, `service-worker`, `speculative`, `websocket` or `sub`.
export function classify(q) {
  const header = q.headerValue;
  const mode = header('sec-fetch-mode');
  const dest = header('sec-fetch-dest');
  const purposes = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'].map((name) => header(name));
  const document =
    dest === undefined
      ? lower(header('accept')).indexOf('text/html') >= 0 &&
        header('x-requested-with') === undefined &&
        !/\.(?!html?$)[a-z0-9]{1,8}$/.test(lower(q.normalPath))
      : dest === 'document' && mode === 'navigate';
  return mode === 'websocket' || header('sec-websocket-key') !== undefined
    ? 'websocket'
    : /prefetch|prerender|preview/.test(lower(purposes.join()))
      ? 'speculative'
      : q.verb !== 'GET'
        ? 'sub'
        : header('service-worker') === 'script'
          ? 'service-worker'
          : document
            ? 'navigation'
            : 'sub';
}
