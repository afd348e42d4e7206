// What the edge says itself: a page for people who navigate, JSON for everything else; plain, without scripts, `no-store`.
//
// A reply has `replyStatus`, `replyHeaders`, `replyBody`, and `setCookie` `[name, value, seconds]` where it sets one.

export function reply(status, type, body) {
  return {
    replyStatus: status,
    replyHeaders: {
      'content-type': type,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-cutover-release': 'none',
      'x-cutover-reason': 'edge',
    },
    replyBody: body,
  };
}

// A page where one is wanted, else JSON. The message is ours and needs no escaping.
export function say(page, status, error, message) {
  return page
    ? reply(
        status,
        'text/html; charset=utf-8',
        '<!doctype html><meta name=viewport content=width=device-width><title>' + error + '</title><h1>' + message,
      )
    : reply(status, 'application/json', JSON.stringify({ 'error': error, 'message': message }));
}

// The outage page. The settings carry its message, escaped and with contacts under `html` where that is different.
export function outage(page, settings) {
  const told = settings.outage;
  const said = say(page, 503, 'outage', (page && told.html) || told.message);
  said.replyHeaders['retry-after'] = told.retry;
  return said;
}

// An answer to a request that was decided on.
export function answered(said, d) {
  said.replyHeaders['x-cutover-reason'] = d.reason;
  if (d.stale) said.replyHeaders['x-cutover-stale'] = '1';
  said.clear = d.clear;
  return said;
}

export function nothing(page) {
  return say(page, 404, 'not-found', 'There is nothing at this address.');
}
