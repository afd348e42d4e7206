// Runs one case on the decision core. In the language of CloudFront Functions, because it runs under njs as well.

import * as core from '../../src/core/index.js';

// The core's answer to what `coreCase` made of a vector.
export function runOnCore(kind, ask) {
  switch (kind) {
    case 'hash':
      return { hash: core.fnv1a32(ask.text), bucket: core.bucketOf(ask.text) };
    case 'pin': {
      const pin = core.parsePin(ask.value);
      const again = pin && core.formatPin(pin.release, pin.bucket, pin.generation);
      return pin && again !== ask.value ? 'written back as ' + again : pin;
    }
    case 'token':
      return token(ask);
    case 'path': {
      const said = core.normalisePath(ask.raw);
      if (said.error) return said;
      const again = /[%?#]/.test(said.path) ? said : core.normalisePath(said.path);
      return again.path === said.path ? { path: said.path } : 'normalised again: ' + JSON.stringify(again);
    }
    case 'pattern':
      return ask.paths.map((path) => core.covers(ask.pattern, path));
    case 'classify':
      return { kind: core.classify(requestOf(ask.request)) };
    case 'share':
      return core.target(ask.table, ask.bucket) || null;
    case 'compact': {
      const table = core.readTable(ask.table ? core.writeTable(ask.table) : ask.compact);
      return { compact: table && core.writeTable(table) };
    }
    case 'decide': {
      // What travels to an edge is the compact form.
      const table = core.readTable(core.writeTable(ask.table));
      return table ? decision(core.decide(requestOf(ask.request), table, ask.settings)) : 'the table is refused';
    }
    default:
      return 'unknown kind ' + kind;
  }
}

function requestOf(described) {
  const values = (name) => described.headers.filter((pair) => pair[0] === name).map((pair) => pair[1]);
  return {
    verb: described.method,
    normalPath: described.path,
    queryText: described.query,
    headerValue: (name) => values(name)[0],
    cookieValue: (name) => core.cookieIn(values('cookie'), name),
    clientAddress: described.client,
    clientCountry: described.country,
    uniqueId: described.request_id,
    unixTime: described.now,
  };
}

function token(ask) {
  const version = ask.form === 'link' ? 'l1' : 'd1';
  const said = core.verifyToken(version, ask.value, ask.host, ask.keys, ask.now);
  if (said.error) return { error: said.error };
  const again = core.signToken(version, said, ask.host, ask.keys);
  if (again !== ask.value) return 'signed again: ' + again;
  return { ok: { kid: said.kid, release: said.release, expiry: said.expiry, tid: said.tid } };
}

function decision(said) {
  const token = said.token;
  return {
    action: core.actionOf(said),
    release: said.release || null,
    rest: said.rest === undefined ? null : said.rest,
    token: token ? { kid: token.kid, tid: token.tid, expiry: token.expiry } : null,
    ended: said.ended || null,
    reason: said.reason,
    kind: said.kind,
    bucket: typeof said.bucket === 'number' ? said.bucket : null,
    set_pin: said.pin || null,
    clear_preview: !!said.clear,
    stale: !!said.stale,
    strip_conditionals: !!said.strip,
    bot: !!said.bot,
  };
}
