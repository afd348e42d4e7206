// What every answer of a release gets on its way to the viewer, after the cache: marks, the pin, sound cache headers.
//
// An answer is seen through `has(name)`, `get(name)`, `set(name, value)`, `remove(name)` and `names()`; header names are in
// lower case.

import { attributes, PIN_AGE, pinName } from '../core/cookies.js';
import { lower } from '../core/text.js';

// Dresses an answer. `note` is the request's `x-cutover-note`; `q` has method and header(name); `cookie(name, value,
// attributes)` adds a cookie to the answer.
export function dress(note, q, status, answer, secure, cookie) {
  const parts = note.split('~');
  const kind = parts[2];
  const is = (flag) => parts[3].indexOf(flag) >= 0;
  answer.names().forEach((name) => {
    if (/^x-cutover-/.test(name)) answer.remove(name);
  });
  answer.set('x-cutover-release', parts[1]);
  answer.set('x-cutover-reason', parts[0]);
  if (is('s')) answer.set('x-cutover-stale', '1');
  if (is('d')) answer.set('x-cutover-degraded', '1');
  const redirect = status >= 300 && status < 400 && answer.has('location');
  const html = /^\s*(text\/html|application\/xhtml\+xml)\s*(;|$)/.test(lower(answer.get('content-type') || ''));
  if (parts[0] === 'preview') {
    untarget(answer);
    answer.set('cache-control', 'no-store');
    answer.set('x-robots-tag', 'noindex');
  } else if (redirect || html || (!answer.has('content-type') && untyped(q, status, kind))) {
    // A document names the release that everything else follows: no cache may show one release's to another's visitor.
    keepPrivate(answer);
  }
  const attachment = /^\s*attachment/.test(lower(answer.get('content-disposition') || ''));
  const carries = status >= 200 && status < 400 && (kind === 'service-worker' || (kind === 'navigation' && (redirect || (html && !attachment))));
  if (parts[4] && carries) cookie(pinName(secure), parts[4], attributes(secure, PIN_AGE));
  if (is('c')) cookie(pinName(secure) + '-preview', '', attributes(secure, 0));
  if ((parts[4] && carries) || is('c')) keepPrivate(answer);
}

// An answer that names no type may be a document; a 304, where one was asked for.
function untyped(q, status, kind) {
  if (status !== 304) return q.method === 'GET' || q.method === 'HEAD';
  return (
    kind === 'navigation' ||
    kind === 'speculative' ||
    q.method === 'HEAD' ||
    lower(q.header('sec-fetch-mode') || '').indexOf('navigate') >= 0 ||
    lower(q.header('accept') || '').indexOf('text/html') >= 0
  );
}

function keepPrivate(answer) {
  untarget(answer);
  if (/(^|,)\s*no-store\s*(,|$)/.test(lower(answer.get('cache-control') || ''))) return;
  answer.set('cache-control', 'private, no-cache');
  answer.remove('expires');
}

// Removes what speaks to some caches alone.
function untarget(answer) {
  answer.names().forEach((name) => {
    if (/^(.*-)?cdn-cache-control$|^(surrogate|edge)-control$/.test(name)) answer.remove(name);
  });
}
