// Text as bytes: what the routing decision compares and counts, the same in every engine.
//
// Engines differ in what a character of a string is (a UTF-16 unit, or a code point), and in what they take for the same
// letter. Nothing here depends on either.

// ASCII letters in lower case; every other character as it is. `toLowerCase` alone would make a `k` of the Kelvin sign.
export function lower(text) {
  return (text || '').replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

// How many bytes the text has as UTF-8.
export function byteLength(text) {
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // Half of a surrogate pair counts for two, so a pair for four.
    length += code < 0x80 ? 1 : code < 0x800 || (code > 0xd7ff && code < 0xe000) ? 2 : code < 0x10000 ? 3 : 4;
  }
  return length;
}

// FNV-1a, 32 bits, over the low byte of each UTF-16 unit.
export function fnv1a32(text) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // An engine whose characters are code points: the high surrogate first.
    ANY_TEXT: if (code > 0xffff) hash = Math.imul(hash ^ (((code - 0x10000) >> 10) & 255), 0x01000193);
    hash = Math.imul(hash ^ (code & 255), 0x01000193);
  }
  return hash >>> 0;
}

// The bucket drawn for a request id.
export function bucketOf(requestId) {
  return fnv1a32(requestId) % 10000;
}

// A release id: `[a-z0-9]{8,16}`.
export function isRelease(text) {
  return typeof text === 'string' && /^[a-z0-9]{8,16}$(?!\s)/.test(text);
}

// Own members only: `constructor` is a release id like any other, and what is absent is absent.
export function own(object, name) {
  return {}.hasOwnProperty.call(object, name) ? object[name] : undefined;
}
