// Whether a navigation goes on inside the app or enters it anew: what policy `entry` asks.

import { lower } from './text.js';

// True for a navigation from a page of the app that is no reload.
export function goesOn(q, host) {
  const site = q.headerValue('sec-fetch-site');
  // The host of an absolute http(s) URL, without port; not where there are credentials or an IPv6 address.
  const from = /^https?:\/\/([^\/?#@\[:]*)(:[^\/?#@\[]*)?([\/?#]|$)/.exec(q.headerValue('referer') || '');
  return (
    (site === undefined ? !!from && lower(from[1]) === lower(host) : site === 'same-origin') &&
    !/(^|,)[ \t]*(no-cache|max-age=0)[ \t]*(,|$)/.test(lower(q.headerValue('cache-control')))
  );
}
