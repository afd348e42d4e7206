// One form for every path, so that routes, files and rules cannot be reached, or dodged, by spelling.
//
// docs/routing.md states the steps.

import { byteLength } from './text.js';

// Brings a raw path, without the query, to its normal form: `{ path, plain }`, plain where only escapes had to be decoded;
// or `{ error }` with the word for what is wrong.
export function normalisePath(raw) {
  // CloudFront gives functions nothing else.
  ANY_TEXT: {
    if (byteLength(raw) > 8192) return { error: 'too-long' };
    if (raw.charAt(0) !== '/') return { error: 'not-absolute' };
    if (/[?#]/.test(raw)) return { error: 'forbidden-character' };
  }
  const bad = /%(2f|5c|(?![0-9a-f]{2}))/i.exec(raw);
  if (bad) return { error: bad[1] ? 'escaped-separator' : 'broken-escape' };
  let path;
  try {
    path = decodeURIComponent(raw);
  } catch (e) {
    return { error: 'not-utf8' };
  }
  if (/[\x00-\x1f\x7f-\x9f\\]/.test(path)) return { error: 'forbidden-character' };
  if (!/\/(\/|\.\.?(\/|$))/.test(path)) return { path: path, plain: true };
  const kept = [];
  let up = 0;
  path.split('/').forEach((segment) => {
    if (segment === '..') {
      if (kept.pop() === undefined) up = 1;
    } else if (segment && segment !== '.') kept.push(segment);
  });
  if (up) return { error: 'above-root' };
  return { path: '/' + kept.join('/') + (kept.length && /\/(\.\.?)?$/.test(path) ? '/' : '') };
}

// A normal path as it is written in a URL.
export function encodePath(path) {
  return path.split('/').map(encodeURIComponent).join('/');
}
