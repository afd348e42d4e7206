// Preview tokens: signed, expiring permission to be served one release.
//
// `<version>.<kid>.<release>.<expiry>.<tid>.<mac>`, version `d1` for the cookie and `l1` for a link.

import crypto from 'crypto';

import { byteLength, own } from './text.js';
import { MAX } from './pin.js';

const FORM = /^([dl]1)\.([\w-]{1,32})\.([a-z0-9]{8,16})\.(0|[1-9]\d{0,15})\.([\w-]{1,32})\.([^.]*)$/;

// Verifies a token of the version at a time (Unix seconds). `keys` has the secret of each kid, in base64. Gives
// `{ kid, release, expiry, tid }`, with `error` beside them where it has expired, or `{ error }` alone: `malformed`,
// `unknown-key`, `bad-mac`.
export function verifyToken(version, value, host, keys, now) {
  const parts = FORM.exec(value);
  const malformed = { error: 'malformed' };
  if (!parts || parts[1] !== version) return malformed;
  ANY_TEXT: if (+parts[4] > MAX || byteLength(value) > 192) return malformed;
  const made = signed(parts.slice(1, 6).join('.'), parts[2], host, keys);
  if (!made) return { error: 'unknown-key' };
  // In a time that does not depend on where they differ.
  let different = made.length ^ value.length;
  for (let at = 0; at < made.length; at++) different |= made.charCodeAt(at) ^ value.charCodeAt(at);
  if (different) return { error: 'bad-mac' };
  const token = { kid: parts[2], release: parts[3], expiry: +parts[4], tid: parts[5] };
  // Signed for longer than anything may be: a signer that is not ours. A minute is for clocks that differ.
  if (token.expiry > now + (version === 'd1' ? 86460 : 660)) return malformed;
  if (now >= token.expiry) token.error = 'expired';
  return token;
}

// Signs a token; empty where its key is not known.
export function signToken(version, token, host, keys) {
  return signed([version, token.kid, token.release, token.expiry, token.tid].join('.'), token.kid, host, keys);
}

// How many seconds the preview lasts that a link starts: what the name of its token ends in, else a day.
export function lasts(token) {
  const said = /-([1-9][0-9]{0,4})$/.exec(token.tid);
  return said && +said[1] <= 86400 ? +said[1] : 86400;
}

// The key a token says it is signed with; empty where it is no token.
export function keyOf(value) {
  return (FORM.exec(value) || ['', '', ''])[2];
}

// A text with its mac behind it; empty where there is no such key, or a short one.
function signed(text, kid, host, keys) {
  const secret = Buffer.from(own(keys, kid) || '', 'base64');
  if (secret.length < 16) return '';
  const mac = crypto.createHmac('sha256', secret).update('cutover-preview\n' + host + '\n' + text);
  return text + '.' + mac.digest('base64url');
}
