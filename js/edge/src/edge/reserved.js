// The addresses that belong to the edge: `/.cutover/...`, and `/_r/...` for files by the name of their release.

import { parameter } from '../core/audience.js';
import { byPath } from '../core/by-path.js';
import { pinName } from '../core/cookies.js';
import { encodePath } from '../core/path.js';
import { letters } from '../core/table.js';
import { lasts, signToken, verifyToken } from '../core/token.js';
import { answered, nothing, reply, say } from './pages.js';
import { pass } from './pass.js';
import { fileOf } from './site.js';

// True for paths below these, and these themselves.
export function isReserved(path) {
  return /^\/(_r|\.cutover)(\/|$)/.test(path);
}

// Answers a reserved path, as `route` does.
export function routeReserved(q, t, settings) {
  const path = q.normalPath;
  const s = settings.routing;
  const name = pinName(s.secure) + '-preview';
  const preview = q.cookieValue(name);
  const token = preview === undefined ? null : verifyToken('d1', preview, s.host, s.keys, q.unixTime);
  if (/^\/_r/.test(path)) {
    const d = byPath(q, t, token);
    // Never documents: what has no extension may be one.
    const file = d.rest && /\.(?!x?html?$)\w+$/i.test(d.rest) && fileOf(d.rest, false, settings.site);
    return file ? pass(d, t, '/r/' + d.release + encodePath(file), d.release) : answered(nothing(), d);
  }
  const at = /^\/\.cutover\/(preview|leave|state|health|visit\.js)$/.exec(path);
  if (!at) return nothing();
  if (!/^(GET|HEAD)$/.test(q.verb)) {
    const refused = say(false, 405, 'method', 'Only GET and HEAD are served here.');
    refused.replyHeaders.allow = 'GET, HEAD';
    return refused;
  }
  // One copy for all releases: it belongs to the edge.
  if (at[1] === 'visit.js') return pass({ reason: 'edge', release: 'none' }, t, '/c' + path, 'commons');
  if (at[1] === 'health') return reply(200, 'text/plain; charset=utf-8', 'ok\n');
  if (at[1] === 'leave') return go(q, name, '', 0);
  if (at[1] === 'preview') return enter(q, t, s, name);
  // Which template with which settings runs, so that whoever watches can tell.
  const said = { 'generation': t.g, 'default': t.d || null, 'edge': settings.edge };
  if (token && !token.error) said.preview = token.release;
  if (t.behind) said.degraded = true;
  return reply(200, 'application/json', JSON.stringify(said));
}

// A link's token becomes a preview cookie.
function enter(q, t, s, name) {
  const token = verifyToken('l1', linkToken(q), s.host, s.keys, q.unixTime);
  const known = token.error ? '' : letters(t, token.release);
  if (!known || /^x/.test(known)) {
    const why = token.error
      ? 'This preview link is not valid, or not any more. Ask for a new one.'
      : known
        ? 'The release of this preview has been withdrawn.'
        : 'The release of this preview is gone.';
    const refused = say(true, 403, 'preview', why);
    refused.replyHeaders['referrer-policy'] = 'no-referrer';
    return refused;
  }
  const seconds = lasts(token);
  token.expiry = q.unixTime + seconds;
  return go(q, name, signToken('d1', token, s.host, s.keys), seconds);
}

// The token of the link that was followed; empty where there is none.
export function linkToken(q) {
  return decode(parameter(q.queryText, 'token'));
}

// A redirect into the app, with a cookie.
function go(q, name, value, seconds) {
  const said = reply(303, 'text/plain; charset=utf-8', 'See the address in Location.\n');
  said.replyHeaders.location = local(decode(parameter(q.queryText, 'to')));
  said.replyHeaders['referrer-policy'] = 'no-referrer';
  said.replyHeaders['x-robots-tag'] = 'noindex';
  said.setCookie = [name, value, seconds];
  return said;
}

// A path of this host; `/` where browsers may read it as anything else: they take `//host` and `/\host` for another host,
// and drop tabs and line ends before they look.
export function local(to) {
  const sound = /^\/(?!\/|\.cutover)/.test(to) && !/[\x00-\x1f\x7f-\x9f\\]/.test(to);
  // Escapes that are there already stay.
  return sound ? encodeURI(to).replace(/%25/g, '%') : '/';
}

function decode(value) {
  try {
    return value ? decodeURIComponent(value.replace(/\+/g, ' ')) : '';
  } catch (e) {
    return '';
  }
}
