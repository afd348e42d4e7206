// Vectors as requests that bundles can be given, and what has to be seen of the answer.
//
// A bundle shows less than `decide` says: where a request goes, which cookies are set, which marks its answer carries. What a
// vector says beyond that is seen by a request made for it; where no request shows it, the case is left out, with the reason.

import { contains } from '../../src/core/address.js';
import { encodePath, normalisePath } from '../../src/core/path.js';
import { writeTable } from '../../src/core/table.js';
import { SOMEBODY } from './function-events.mjs';
import { patched, rawPath, tableOf, whole } from './vectors.mjs';

// One service has every path, so that none is turned into a file's.
const CATCH_ALL = {
  site: {},
  services: [{ name: 'all', routes: ['/*'], via: 'header' }],
  country: true,
};
const HOST = { host: 'shop.example.com', secure: true };
const PIN = '__Host-cutover';
const NAVIGATION = [
  ['sec-fetch-dest', 'document'],
  ['sec-fetch-mode', 'navigate'],
];

// What is asked of bundles for a case: `{ probes }`, or `{ leftOut }` with the reason. `runtime` is `function` or `lambda`.
export function probesOf(file, vector, runtime) {
  const made = MADE[file.kind](file, vector, runtime);
  if (typeof made === 'string') return { leftOut: made };
  return { probes: made };
}

const reserved = (path) => /^\/(_r|\.cutover)(\/|$)/.test(path);
const ascii = (text) => /^[\x20-\x7e]*$/.test(text);

function app(routing) {
  const { keys: _, ...rest } = routing;
  return { ...CATCH_ALL, routing: { ...HOST, ...rest } };
}

function store(compact, keys = []) {
  return { rt: compact, ...Object.fromEntries([...keys].reverse().map(({ kid, secret }) => [`k:${kid}`, secret])) };
}

const MADE = {
  hash(file, { text, expect }, runtime) {
    if (runtime === 'function' && !ascii(text)) return 'ids of requests are ASCII on CloudFront';
    const table = { v: 1, g: 7, d: 'blue0001', s: [], o: 0, r: { blue0001: 'a' }, a: {} };
    const request = whole({ path: '/', headers: NAVIGATION, request_id: text });
    return [probe(app({}), store(writeTable(table)), request, { set: `1.blue0001.${expect.bucket}.7` })];
  },

  share(file, { table: human, bucket, expect }) {
    const table = writeTable(tableOf(human));
    const headers = [...NAVIGATION, ['cookie', `${PIN}=1.gone0000.${bucket}.1`]];
    const want = expect ? { release: expect, reason: 'moved' } : { status: 503, reason: 'no-release' };
    return [probe(app({}), store(table), whole({ path: '/', headers }), want)];
  },

  pin(file, { value, expect }) {
    if (!ascii(value) || /^ | $|;/.test(value)) return 'no cookie can have this value';
    const cookie = ['cookie', `${PIN}=${value}`];
    if (!expect) {
      const table = { v: 1, g: 7, d: 'blue0001', s: [], o: 0, r: { blue0001: 'a' }, a: {} };
      return [probe(app({}), store(writeTable(table)), whole({ path: '/x', headers: [cookie] }), { reason: 'default' })];
    }
    const { release, bucket, generation } = expect;
    const table = { v: 1, g: generation, d: release, s: [], o: 0, r: { [release]: 'a' }, a: {} };
    const other = { ...table, d: 'default0', r: { default0: 'a', [release]: 'x' } };
    const navigation = whole({ path: '/', headers: [...NAVIGATION, cookie] });
    return [
      probe(app({}), store(writeTable(table)), whole({ path: '/x', headers: [cookie] }), { release, reason: 'pin' }),
      // The pin is exactly what would be set, so nothing is.
      probe(app({}), store(writeTable(table)), navigation, { release, reason: 'pin', set: '' }),
      probe(app({}), store(writeTable(other)), navigation, { set: `1.default0.${bucket}.${generation}` }),
    ];
  },

  token(file, { form, value, expect }) {
    const table = { v: 1, g: 7, d: 'blue0001', s: [], o: 0, r: { blue0001: 'a', stage005: 's' }, a: {} };
    const release = expect.ok?.release;
    if (release && !Object.hasOwn(table.r, release)) table.r[release] = 's';
    const at = app({ host: file.host });
    const stored = store(writeTable(table), file.keys);
    if (form === 'link') {
      const query = `token=${encodeURIComponent(value)}&to=/x`;
      const request = whole({ path: '/.cutover/preview', query, now: file.now });
      const want = expect.ok ? { status: 303, location: '/x', preview: `d1.${expect.ok.kid}.${release}` } : { status: 403 };
      return [probe(at, stored, request, want)];
    }
    if (!ascii(value) || /^ | $|;/.test(value)) return 'no cookie can have this value';
    const request = whole({ path: '/x', headers: [['cookie', `${PIN}-preview=${value}`]], now: file.now });
    const want = expect.ok
      ? { release, reason: 'preview', key: `${release}~${expect.ok.tid}~req-1`, clear: false }
      : expect.error === 'expired'
        ? { status: 410, reason: 'preview-ended', clear: false }
        : { reason: 'default', clear: true };
    return [probe(at, stored, request, want)];
  },

  path(file, vector, runtime) {
    const { raw, want } = rawPath(vector);
    if (['too-long', 'not-absolute'].includes(want.error) || /[?#]/.test(raw)) return 'CloudFront gives functions no such path';
    if (reserved(want.path ?? '/')) return 'the path is reserved';
    if (runtime === 'function' && /[^\x00-\x7f]/.test(raw)) return 'paths are ASCII on CloudFront';
    const table = { v: 1, g: 7, d: 'blue0001', s: [], o: 0, r: { blue0001: 'a' }, a: {} };
    const request = { ...whole({ headers: [] }), uri: raw };
    const seen = want.error ? { status: 400, reason: 'refused' } : { path: want.path };
    return [probe(app({}), store(writeTable(table)), request, seen)];
  },

  pattern(file, { pattern, expect }) {
    if (expect.error) return 'patterns are checked when settings are baked';
    const table = { v: 1, g: 7, d: 'blue0001', s: [], o: 0, r: { blue0001: 'a', green002: 'c' }, a: {} };
    const headers = [...NAVIGATION, ['cookie', `${PIN}=1.green002.5.7`]];
    const at = app({ keep: [pattern] });
    const one = (path, covered) => {
      const want = covered ? { release: 'green002', reason: 'keep' } : { release: 'blue0001', reason: 'moved' };
      return probe(at, store(writeTable(table)), whole({ path, headers }), want);
    };
    return [...expect.matches.map((path) => one(path, true)), ...expect.not.map((path) => one(path, false))].filter(
      ({ request }) => !reserved(request.path) && normalisePath(request.uri).path === request.path,
    );
  },

  classify(file, { request, expect }) {
    const table = { v: 1, g: 7, d: 'blue0001', s: [], o: 0, r: { blue0001: 'a' }, a: {} };
    const moves = expect.kind === 'navigation' || expect.kind === 'service-worker';
    return [probe(app({}), store(writeTable(table)), whole(request), { kind: expect.kind, moves })];
  },

  compact(file, { table, compact, expect }, runtime) {
    const text = compact ?? expect.compact;
    const request = whole({ path: '/.cutover/state' });
    if (table) {
      const state = { generation: table.generation, default: table.default ?? null };
      return [probe(app({}), store(text), request, { status: 200, state })];
    }
    if (runtime === 'function' && readable(text)) return 'functions trust the one writer of their store with all but the version';
    return [probe(app({}), store(text), request, { status: 503, reason: 'edge' })];
  },

  decide(file, vector) {
    const { table, settings } = patched(file, vector);
    const request = whole(vector.request);
    const known = settings.audiences?.some(({ when }) => when.cidr?.some((network) => contains(network, SOMEBODY)));
    if (!request.client && known) return 'CloudFront always knows the address';
    const want = vector.expect;
    const plain = { reason: want.reason, stale: !!want.stale };
    const page = { 'preview-ended': 410, 'not-found': 404, 'no-release': 503 }[want.action];
    const seen = { ...plain, clear: !!want.clear_preview };
    // A path that names its release carries no mark of the cookies; documents and hidden files are never served so.
    if (want.action === 'path') {
      const file = /\.(?!x?html?$)\w+$/i.test(want.rest) && !/\/\.(?!well-known(\/|$))/.test(want.rest);
      if (file) Object.assign(seen, { path: `/r/${want.release}${want.rest}`, release: want.release });
      else Object.assign(seen, { status: 404 });
    } else if (page) {
      seen.status = page;
    } else {
      Object.assign(seen, { release: want.release, set: want.set_pin ?? '', strip: !!want.strip_conditionals, path: request.path });
      seen.kind = want.kind;
      seen.key = want.token ? `${want.release}~${want.token.tid}~${request.request_id}` : want.release;
    }
    return [probe(app(settings), store(writeTable(tableOf(table)), settings.keys), request, seen)];
  },
};

// Whether a text says that it is of the version functions know. Engines differ in what else they forgive: njs reads `01`.
function readable(text) {
  return /"v"\s*:[\s0]*1[.\s]*[,}]/.test(text);
}

function probe(at, stored, request, want) {
  return { app: at, store: stored, request: { ...request, uri: request.uri ?? encodePath(request.path) }, want };
}

