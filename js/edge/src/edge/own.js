// The edge's own addresses, below `/.cutover/`.

import { parameter } from '../core/audience.js';
import { cookie, pinName } from '../core/cookies.js';
import { state } from '../core/table.js';
import { lasts, signToken, verifyToken } from '../core/token.js';
import { json, say, text } from './pages.js';

// Answers a path below `/.cutover`. The script `visit.js` is a file of each release and not here.
export function answerOwn(q, t, settings) {
  const at = /^\/\.cutover\/(preview|leave|state|health)$/.exec(q.normalPath);
  if (!at) return text(404, 'There is nothing at this address.');
  if (q.verb !== 'GET' && q.verb !== 'HEAD') {
    const refused = text(405, 'Only GET and HEAD are served here.');
    refused.headers.allow = 'GET, HEAD';
    return refused;
  }
  const s = settings.routing;
  const previewName = pinName(s.secure) + '-preview';
  if (at[1] === 'health') return text(200, 'ok');
  if (at[1] === 'leave') return go(q, previewName, '', 0);
  if (at[1] === 'preview') return enter(q, t, s, previewName);
  // Which template with which settings runs, so that whoever watches can tell.
  const said = { generation: t.g, default: t.d, edge: settings.edge };
  const shown = verifyToken('d1', cookie(q.cookies, previewName) || '', s.host, s.keys, q.unixTime);
  if (!shown.error) said.preview = shown.release;
  if (t.behind) said.degraded = true;
  return json(said);
}

// A link's token becomes a preview cookie.
function enter(q, t, s, name) {
  const token = verifyToken('l1', decode(parameter(q.queryText, 'token')) || '', s.host, s.keys, q.unixTime);
  const letter = token.release && state(t, token.release);
  const why = token.error
    ? 'This preview link is not valid, or not any more. Ask for a new one.'
    : !letter
      ? 'The release of this preview is gone.'
      : letter === 'x' && 'The release of this preview has been withdrawn.';
  if (why) {
    const refused = say(true, 403, 'preview', why);
    refused.headers['referrer-policy'] = 'no-referrer';
    return refused;
  }
  const seconds = lasts(token);
  token.expiry = q.unixTime + seconds;
  return go(q, name, signToken('d1', token, s.host, s.keys), seconds);
}

// A redirect into the app, with a cookie.
function go(q, name, value, seconds) {
  const said = text(303, 'See the address in Location.');
  said.headers.location = local(decode(parameter(q.queryText, 'to')));
  said.headers['referrer-policy'] = 'no-referrer';
  said.headers['x-robots-tag'] = 'noindex';
  said.cookies.push([name, value, seconds]);
  return said;
}

// A path of this host; `/` where browsers may read it as anything else: they take `//host` and `/\host` for another host,
// and drop tabs and line ends before they look.
function local(to) {
  const sound = to && /^\/(?!\/|\.cutover)/.test(to) && !/[\x00-\x1f\x7f-\x9f\\]/.test(to);
  // Escapes that are there already stay.
  return sound ? encodeURI(to).replace(/%25/g, '%') : '/';
}

function decode(value) {
  try {
    return value && decodeURIComponent(value.replace(/\+/g, ' '));
  } catch (e) {
    return null;
  }
}
