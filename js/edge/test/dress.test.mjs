// What answers get on their way to the viewer.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { dress } from '../src/edge/dress.js';

const PIN = '1.green002.5.45';

function dressed(note, status, headers, { method = 'GET', request = {} } = {}) {
  const answer = { ...headers };
  const view = {
    has: (name) => name in answer,
    get: (name) => answer[name],
    set: (name, value) => (answer[name] = value),
    remove: (name) => delete answer[name],
    names: () => Object.keys(answer),
  };
  const cookies = [];
  const q = { method, header: (name) => request[name] };
  dress(note, q, status, view, true, (name, value, attributes) => cookies.push(`${name}=${value}; ${attributes}`));
  return { answer, cookies };
}

const navigation = `moved~green002~navigation~~${PIN}`;

test('the pin is set on shown documents and redirects alone', () => {
  const html = { 'content-type': 'Text/HTML; charset=utf-8' };
  const cases = [
    [200, html, true],
    [200, { 'content-type': 'application/xhtml+xml' }, true],
    [302, { location: '/x' }, true],
    [304, html, true],
    [304, {}, false],
    [200, { ...html, 'content-disposition': 'Attachment; filename=a.html' }, false],
    [200, { 'content-type': 'image/png' }, false],
    [200, {}, false],
    [404, html, false],
    [503, html, false],
  ];
  for (const [status, headers, carries] of cases) {
    const { cookies, answer } = dressed(navigation, status, headers);
    assert.equal(cookies.length, carries ? 1 : 0, `${status} ${JSON.stringify(headers)}`);
    if (carries) assert.equal(answer['cache-control'], 'private, no-cache');
  }
  assert.deepEqual(dressed(navigation, 200, html).cookies, [
    `__Host-cutover=${PIN}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=2592000`,
  ]);
  assert.equal(dressed(`new~green002~service-worker~~${PIN}`, 200, { 'content-type': 'text/javascript' }).cookies.length, 1);
  assert.equal(dressed(`pin~green002~sub~~`, 200, html).cookies.length, 0);
});

test('documents are kept out of shared caches, other files keep their headers', () => {
  const long = { 'cache-control': 's-maxage=31536000', 'expires': 'x', 'cdn-cache-control': 'y', 'a-cdn-cache-control': 'z' };
  const html = dressed('pin~green002~sub~~', 200, { ...long, 'content-type': 'text/html' }).answer;
  assert.equal(html['cache-control'], 'private, no-cache');
  assert.ok(!('expires' in html) && !('cdn-cache-control' in html) && !('a-cdn-cache-control' in html));
  const image = dressed('pin~green002~sub~~', 200, { ...long, 'content-type': 'image/png' }).answer;
  assert.equal(image['cache-control'], 's-maxage=31536000');
  const stored = { 'content-type': 'text/html', 'cache-control': 'max-age=1, No-Store' };
  assert.equal(dressed('pin~green002~sub~~', 200, stored).answer['cache-control'], 'max-age=1, No-Store');
  // Without a type a browser may find a document.
  assert.equal(dressed('pin~green002~sub~~', 200, {}).answer['cache-control'], 'private, no-cache');
  assert.equal(dressed('pin~green002~sub~~', 304, {}).answer['cache-control'], undefined);
  const framed = dressed('pin~green002~sub~~', 304, {}, { request: { 'sec-fetch-mode': 'navigate' } });
  assert.equal(framed.answer['cache-control'], 'private, no-cache');
});

test('previews are neither stored nor indexed', () => {
  const { answer, cookies } = dressed('preview~stage003~navigation~~', 200, { 'content-type': 'text/html' });
  assert.equal(answer['cache-control'], 'no-store');
  assert.equal(answer['x-robots-tag'], 'noindex');
  assert.deepEqual(cookies, []);
});

test('marks are ours alone', () => {
  const { answer, cookies } = dressed('stale~green002~sub~scd~', 200, {
    'content-type': 'application/json',
    'x-cutover-release': 'evil',
    'x-cutover-other': 'evil',
  });
  assert.equal(answer['x-cutover-release'], 'green002');
  assert.equal(answer['x-cutover-reason'], 'stale');
  assert.equal(answer['x-cutover-stale'], '1');
  assert.equal(answer['x-cutover-degraded'], '1');
  assert.ok(!('x-cutover-other' in answer));
  assert.equal(cookies[0], '__Host-cutover-preview=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0');
});
