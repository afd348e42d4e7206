// The routing table in its compact form: the small document that says which release gets whom.
//
// `{ v, g, d, s, o, r, a }`: version, generation, default, shares, offset, release to the letters of its state and slot,
// audiences.

import { isRelease, own } from './text.js';
import { MAX } from './pin.js';

// Reads the compact form as its one writer left it; null where it is of another version or no table.
export function trustTable(text) {
  try {
    const t = JSON.parse(text);
    t.s = t.s || [];
    t.o = t.o || 0;
    t.a = t.a || {};
    return t.v === 1 && t.r ? t : null;
  } catch (e) {
    return null;
  }
}

// Reads the compact form; null also where it is not the one compact form of its table, or says what cannot be.
export function readTable(text) {
  const t = trustTable(text);
  try {
    return t && text.length <= 1024 && sound(t) && writeTable(t) === text ? t : null;
  } catch (e) {
    return null;
  }
}

// The compact form.
export function writeTable(t) {
  const members = (object) =>
    '{' + Object.keys(object).sort().map((name) => '"' + name + '":"' + object[name] + '"').join() + '}';
  return (
    '{"v":1,"g":' +
    t.g +
    (t.d ? ',"d":"' + t.d + '"' : '') +
    (t.s.length ? ',"s":' + JSON.stringify(t.s) : '') +
    (t.o ? ',"o":' + t.o : '') +
    ',"r":' +
    members(t.r) +
    (Object.keys(t.a).length ? ',"a":' + members(t.a) : '') +
    '}'
  );
}

function sound(t) {
  const ids = Object.keys(t.r);
  const active = ids.filter((id) => /^a/.test(t.r[id]));
  return (
    whole(t.g, MAX) &&
    whole(t.o, 9999) &&
    ids.every((id) => isRelease(id) && /^[scadx][bg]?$/.test(t.r[id])) &&
    (t.d ? active.length === 1 && active[0] === t.d : t.d === undefined && !active.length) &&
    t.s.every((share, at) => {
      const letter = letters(t, share[0]).charAt(0);
      return (
        share.length === 3 &&
        isRelease(share[0]) &&
        whole(share[1], 10000) &&
        whole(share[2], 10000 - share[1]) &&
        (share[2] ? letter === 'c' && t.d : letter === 'c' || letter === 'd') &&
        t.s.slice(0, at).every((other) => other[0] !== share[0] && !overlap(share, other))
      );
    }) &&
    Object.keys(t.a).every((name) => /^[A-Za-z0-9_-]{1,32}$/.test(name) && /^[ac]/.test(letters(t, t.a[name])))
  );
}

function whole(number, most) {
  return typeof number === 'number' && number >= 0 && number <= most && Math.floor(number) === number;
}

function overlap(one, other) {
  return one[2] && other[2] && one[1] < other[1] + other[2] && other[1] < one[1] + one[2];
}

// The letters of a release's state and slot; empty where the table does not know it.
export function letters(t, release) {
  return own(t.r, release) || '';
}

// True where visitors without a preview token may be served the release.
export function servable(t, release) {
  return /^[acd]/.test(letters(t, release));
}

// The release that owns a bucket: the share that holds it, else the default.
export function target(t, bucket) {
  const at = (bucket + t.o) % 10000;
  const share = t.s.filter((range) => at >= range[1] && at < range[1] + range[2])[0];
  return share ? share[0] : t.d;
}

// True where a policy may hold the visitors of a release: it is active, or was superseded by a promotion.
export function holdsByPolicy(t, release) {
  const letter = letters(t, release).charAt(0);
  return letter === 'a' || (letter === 'd' && t.s.every((share) => share[0] !== release));
}
