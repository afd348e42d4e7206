// What goes on to the cache and the origin, instead of a reply.

// `{ newUri, newHeaders, originId, strip }`: the new address, headers to set (each behind `x-cutover-`), the id of the origin
// where another than the configured one answers, whether conditionals are dropped. The note is for the viewer's answer,
// which comes after the cache.
export function pass(d, t, uri, key) {
  const flags = (d.stale ? 's' : '') + (d.clear ? 'c' : '') + (t.behind ? 'd' : '');
  const note = [d.reason, d.release, d.kind, flags, t.behind ? '' : d.pin].join('~');
  return { newUri: uri, newHeaders: { 'release': d.release, 'key': key, 'note': note }, strip: d.strip };
}
