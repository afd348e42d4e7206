// Cookies in place: `Cookie` headers in order, split at `;`, blanks and tabs around a pair ignored, names compared exactly,
// values taken as they are. The first of a name counts, whatever it holds.

// The value of the first cookie of this name; undefined where there is none. `lines` are the values of `Cookie` headers.
export function cookieIn(lines, name) {
  for (let line = 0; line < lines.length; line++) {
    const pairs = lines[line].split(';');
    for (let at = 0; at < pairs.length; at++) {
      const pair = pairs[at].replace(/^[ \t]+|[ \t]+$/g, '');
      if (pair.slice(0, name.length + 1) === name + '=') return pair.slice(name.length + 1);
    }
  }
}

// Name of the pin cookie, and with `-preview` behind it of the preview's.
export function pinName(secure) {
  return secure ? '__Host-cutover' : 'cutover';
}

// What stands behind the value of each cookie of ours; `age` in seconds.
export function attributes(secure, age) {
  return 'Path=/;' + (secure ? ' Secure;' : '') + ' HttpOnly; SameSite=Lax; Max-Age=' + age;
}

// Life of the pin cookie in seconds: 30 days.
export const PIN_AGE = 2592000;

// True for every name a cookie of ours can have. Browsers match the prefix without regard to case.
export function isOurs(name) {
  return /^(__host-)?cutover(-preview)?$/i.test(name);
}
