// What bundles do with requests beyond the decision: files, services, the edge's own addresses, outages. The same cases run on
// functions and on Lambda@Edge.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { signToken } from '../src/core/index.js';
import { functionsInNode, lambdaInNode } from './harness/runtimes.mjs';
import { whole } from './harness/vectors.mjs';

const shop = JSON.parse(readFileSync(new URL('shop.json', import.meta.url), 'utf8'));
const byLambda = {
  ...shop,
  services: shop.services.map((service) => ({ ...service, via: service.via === 'id' ? 'lambda' : service.via })),
};

const TABLE =
  '{"v":1,"g":45,"d":"blue0001","s":[["green002",0,500]],"o":0,"r":{"blue0001":"ab","green002":"cg","stage003":"s"}}'.replace(
    '"o":0,',
    '',
  );
const SECRET = Buffer.alloc(32, 7).toString('base64');
const STORE = { 'rt': TABLE, 'k:k1': SECRET };
const NOW = 1800000000;
const NAVIGATION = [
  ['sec-fetch-dest', 'document'],
  ['sec-fetch-mode', 'navigate'],
];
const PIN = ['cookie', 'sid=1; __Host-cutover=1.blue0001.9000.45; theme=dark'];

const RUNTIMES = [
  ['functions', shop, functionsInNode],
  ['Lambda@Edge', byLambda, lambdaInNode],
];

// The answers of a runtime to described requests.
function ask(run, app, requests, store = STORE) {
  return run(requests.map((request) => ({ app, store, request: whole({ headers: [], ...request }) })));
}

function preview(release, { tid = 't1', expiry = NOW + 600, version = 'd1' } = {}) {
  return signToken(version, { kid: 'k1', release, expiry, tid }, 'shop.example.com', { k1: SECRET });
}

for (const [name, app, run] of RUNTIMES) {
  test(`${name}: paths become files of the visitor's release`, async () => {
    const page = (uri) => ({ uri, headers: [...NAVIGATION, PIN] });
    const part = (uri) => ({ uri, headers: [PIN] });
    const cases = [
      [page('/'), '/r/blue0001/index.html'],
      [page('/cart'), '/r/blue0001/index.html'],
      [page('/users/jane.doe'), '/r/blue0001/index.html'],
      [page('/about.html'), '/r/blue0001/about.html'],
      [page('/legal/terms'), '/r/blue0001/legal/terms'],
      [page('/legal/'), '/r/blue0001/legal/index.html'],
      [page('/prices.pdf'), '/r/blue0001/prices.pdf'],
      [part('/docs/'), '/r/blue0001/docs/index.html'],
      [part('/logo.svg'), '/r/blue0001/logo.svg'],
      [part('/r/green002/logo.svg'), '/r/blue0001/r/green002/logo.svg'],
      [part('//a/./b/../c%20d+e.png'), '/r/blue0001/a/c%20d%2Be.png'],
      [part('/.well-known/change-password'), '/r/blue0001/.well-known/change-password'],
    ];
    const seen = await ask(run, app, cases.map(([request]) => request));
    cases.forEach(([request, uri], at) => {
      assert.equal(seen[at].uri, uri, request.uri);
      assert.equal(seen[at].key, 'blue0001');
      assert.equal(seen[at].left, 0);
    });
  });

  test(`${name}: fingerprinted files come from the commons, of previews from their release`, async () => {
    const cookie = (value) => ['cookie', `__Host-cutover-preview=${value}`];
    const [common, shown] = await ask(run, app, [
      { uri: '/assets/app-1234.js', headers: [PIN] },
      { uri: '/assets/app-1234.js', headers: [cookie(preview('stage003'))], request_id: 'id7' },
    ]);
    assert.deepEqual([common.uri, common.key, common.reason], ['/c/assets/app-1234.js', 'commons', 'commons']);
    assert.deepEqual([shown.uri, shown.key, shown.reason], ['/r/stage003/assets/app-1234.js', 'stage003~t1~id7', 'preview']);
    assert.equal(shown.cached, 'no-store');
  });

  test(`${name}: hidden, reserved and refused paths reach no release`, async () => {
    const cases = [
      ['/.env', 404],
      ['/a/.git/config', 404],
      ['/.cutover/nothing', 404],
      ['/.cutover', 404],
      ['/_r/blue0001/index.html', 404],
      ['/_r/blue0001/cart', 404],
      ['/_r/stage003/a.js', 404],
      ['/_r', 404],
      ['/a%2fb', 400],
      ['/..', 400],
    ];
    const seen = await ask(run, app, cases.map(([uri]) => ({ uri, headers: NAVIGATION })));
    cases.forEach(([uri, status], at) => {
      assert.equal(seen[at].status, status, uri);
      assert.equal(seen[at].release, 'none');
    });
    const [file] = await ask(run, app, [{ uri: '/_r/green002/assets/a.js' }]);
    assert.equal(file.uri, '/r/green002/assets/a.js');
  });

  test(`${name}: services are asked at the origin of the release's slot`, async () => {
    const pin = (release) => ['cookie', `__Host-cutover=1.${release}.9000.45`];
    const [blue, green, live, staged] = await ask(run, app, [
      { uri: '/api/x%20y?', headers: [pin('blue0001')] },
      { uri: '/api/x:y', headers: [pin('green002')] },
      { uri: '/api/live', headers: [pin('green002')] },
      { uri: '/api/x', headers: [['cookie', `__Host-cutover-preview=${preview('stage003')}`]] },
    ].map((request) => ({ ...request, uri: request.uri.replace('?', '') })));
    assert.deepEqual([blue.origin, blue.uri, blue.key], ['api-blue', '/api/x%20y', 'blue0001']);
    assert.deepEqual([green.origin, green.uri, green.key], ['api-green', '/api/x:y', 'green002']);
    assert.deepEqual([live.origin, live.release], ['', 'green002']);
    // A release without a slot has no origin, and no other may stand in.
    assert.deepEqual([staged.status, staged.reason], [503, 'preview']);
  });

  test(`${name}: a spelling that CloudFront matched to another behaviour is refused`, async () => {
    const [misspelt, plain] = await ask(run, app, [{ uri: '//api/x' }, { uri: '/%61pi/x' }]);
    assert.equal(misspelt.status, 404);
    assert.equal(plain.origin, 'api-blue');
  });

  test(`${name}: a preview begins with a link and ends by leaving`, async () => {
    const link = preview('stage003', { version: 'l1', tid: 't9-900' });
    const [enter, wrong, leave, away] = await ask(run, app, [
      { uri: '/.cutover/preview', query: `token=${link}&to=%2Fcart%3Fa%3Db` },
      { uri: '/.cutover/preview', query: `token=${link}x` },
      { uri: '/.cutover/leave', query: 'to=/cart' },
      { uri: '/.cutover/leave', query: 'to=//evil.example/' },
    ]);
    assert.deepEqual([enter.status, enter.location], [303, '/cart?a=b']);
    assert.ok(enter.preview.startsWith(`d1.k1.stage003.${NOW + 900}.t9-900.`), enter.preview);
    assert.deepEqual([wrong.status, wrong.preview], [403, '']);
    assert.deepEqual([leave.status, leave.location, leave.clear], [303, '/cart', true]);
    assert.equal(away.location, '/');
    const [shown] = await ask(run, app, [{ uri: '/', headers: [...NAVIGATION, ['cookie', `__Host-cutover-preview=${enter.preview}`]] }]);
    assert.deepEqual([shown.release, shown.reason, shown.set], ['stage003', 'preview', '']);
  });

  test(`${name}: the state says which bundle answers`, async () => {
    const [state, refused, health, script] = await ask(run, app, [
      { uri: '/.cutover/state', headers: [['cookie', `__Host-cutover-preview=${preview('stage003')}`]] },
      { uri: '/.cutover/state', method: 'POST' },
      { uri: '/.cutover/health' },
      { uri: '/.cutover/visit.js' },
    ]);
    const { edge, ...said } = JSON.parse(state.body);
    assert.deepEqual(said, { generation: 45, default: 'blue0001', preview: 'stage003' });
    assert.match(edge, /^\d+\.\d+\.\d+\+[0-9a-f]{12}$/);
    assert.equal(refused.status, 405);
    assert.equal(health.body, 'ok\n');
    assert.deepEqual([script.uri, script.key, script.release], ['/c/.cutover/visit.js', 'commons', 'none']);
  });

  test(`${name}: without a readable table pins of known releases are honoured and no cookie is set`, async () => {
    const requests = [
      { uri: '/', headers: NAVIGATION },
      { uri: '/', headers: [...NAVIGATION, ['cookie', '__Host-cutover=1.blue0001.5.99999']] },
      { uri: '/', headers: [...NAVIGATION, ['cookie', '__Host-cutover=1.green002.5.45']] },
      { uri: '/', headers: [...NAVIGATION, ['cookie', `__Host-cutover-preview=${preview('blue0001')}`]] },
    ];
    for (const store of [{}, { rt: '{"v":2,"g":46,"d":"next0003","r":{"next0003":"a"}}' }, { rt: 'no JSON' }]) {
      const [fresh, newer, gone, shown] = await ask(run, app, requests, store);
      assert.deepEqual([fresh.release, fresh.set], ['blue0001', '']);
      assert.deepEqual([newer.release, newer.reason, newer.set], ['blue0001', 'newer-pin', '']);
      assert.deepEqual([gone.release, gone.set], ['blue0001', '']);
      // The public release must not be taken for the preview. Lambda@Edge reads keys and table at once.
      assert.equal(shown.status, 503);
    }
    const [none] = await ask(run, { ...app, fallback: undefined }, requests, {});
    assert.deepEqual([none.status, none.reason], [503, 'edge']);
    assert.match(none.body, /We are back soon\..*status\.example\.com/);
  });

  test(`${name}: headers of the viewer that begin like ours go no further`, async () => {
    const headers = [...NAVIGATION, ['x-cutover-note', 'pin~evil0001~navigation~~1.evil0001.1.1'], ['x-cutover-key', 'evil']];
    const [seen] = await ask(run, app, [{ uri: '/', headers: [...headers, ['x_cutover_release', 'green002']] }]);
    assert.match(seen.set, /^1\.(blue0001|green002)\.\d+\.45$/);
    assert.notEqual(seen.key, 'evil');
    assert.match(seen.attributes, /^Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=2592000$/);
  });
}
