// Lambda@Edge beyond the request: the table in memory, the parameter store's client, origin requests.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { originRequest } from '../src/platform/lambda-origin-request.js';
import { dressResponse } from '../src/platform/lambda-events.js';
import { signedHeaders } from '../src/platform/sigv4.js';
import { parameterReader } from '../src/platform/ssm.js';
import { createState } from '../src/platform/state.js';

const text = (generation, release = 'blue0001') => `{"v":1,"g":${generation},"d":"${release}","r":{"${release}":"a"}}`;

// A state whose reads are answered by hand.
function world({ fallback } = {}) {
  const reads = [];
  const clock = { now: 1_000_000 };
  const read = () => new Promise((resolve, reject) => reads.push({ resolve, reject }));
  const state = createState({ read, fallback, now: () => clock.now, random: () => 0 });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { reads, clock, state, settle };
}

const quiet = (t) => t.mock.method(console, 'log', () => {});

test('an old table is served while one read renews it', async () => {
  const { reads, clock, state, settle } = world();
  const first = state();
  const second = state();
  assert.equal(reads.length, 1);
  reads[0].resolve({ text: text(1), keys: {} });
  assert.equal((await first).table.g, 1);
  assert.equal((await second).table.g, 1);
  clock.now += 4_999;
  await state();
  assert.equal(reads.length, 1, 'it is fresh');
  clock.now += 1;
  assert.equal((await state()).table.g, 1);
  assert.equal((await state()).table.g, 1);
  assert.equal(reads.length, 2, 'one read is under way');
  reads[1].resolve({ text: text(2), keys: {} });
  await settle();
  assert.equal((await state()).table.g, 2);
});

test('a table nobody could renew for a minute is behind', async (t) => {
  quiet(t);
  const { reads, clock, state, settle } = world();
  const first = state();
  reads[0].resolve({ text: text(1), keys: { k1: 's' } });
  await first;
  clock.now += 59_999;
  assert.equal((await state()).table.behind, undefined);
  reads[1].reject(new Error('throttled'));
  await settle();
  clock.now += 1;
  const old = await state();
  assert.deepEqual([old.table.g, old.table.behind, old.keys], [1, true, { k1: 's' }]);
  assert.equal(reads.length, 2, 'a failed read keeps others from trying');
  clock.now += 1_000;
  const waiting = state();
  assert.equal(reads.length, 3);
  reads[2].resolve({ text: text(3), keys: {} });
  const renewed = await waiting;
  assert.deepEqual([renewed.table.g, renewed.table.behind], [3, undefined]);
});

test('a cold instance without SSM serves what was baked in', async (t) => {
  quiet(t);
  const { reads, clock, state } = world({ fallback: text(1) });
  const first = state();
  reads[0].reject(new Error('timed out'));
  const { table, keys } = await first;
  assert.deepEqual([table.g, table.behind, keys], [1, true, null]);
  await state();
  assert.equal(reads.length, 1);
  for (const [at, pause] of [1_000, 2_000, 4_000].entries()) {
    clock.now += pause;
    const next = state();
    assert.equal(reads.length, at + 2);
    reads[at + 1].reject(new Error('timed out'));
    await next;
  }
  const nothing = world();
  const none = nothing.state();
  nothing.reads[0].reject(new Error('timed out'));
  assert.equal((await none).table, null);
});

test('generations never go back, and one generation has one form', async (t) => {
  quiet(t);
  const { reads, clock, state, settle } = world();
  const first = state();
  reads[0].resolve({ text: text(5), keys: {} });
  await first;
  for (const [at, other] of [text(4), text(5, 'green002'), '{"v":2}', text(5)].entries()) {
    clock.now += 10_000;
    await state();
    assert.equal(reads.length, at + 2);
    reads[at + 1].resolve({ text: other, keys: {} });
    await settle();
    const { table } = await state();
    assert.deepEqual([table.g, table.d], [5, 'blue0001']);
  }
});

test('requests are signed as AWS documents it', () => {
  // The example of AWS's General Reference, "Signature Version 4 signing process": IAM ListUsers.
  const headers = signedHeaders({
    method: 'GET',
    path: '/',
    query: 'Action=ListUsers&Version=2010-05-08',
    headers: { 'host': 'iam.amazonaws.com', 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    body: '',
    region: 'us-east-1',
    service: 'iam',
    date: new Date('2015-08-30T12:36:00Z'),
    credentials: { id: 'AKIDEXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
  });
  assert.match(headers.authorization, /Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7$/);
});

test('table and keys come by one call, and failures say what they are', async (t) => {
  const asked = [];
  let answer;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => {
      asked.push({ headers: request.headers, body: JSON.parse(body) });
      if (!answer) return;
      response.statusCode = answer.status;
      response.end(answer.body);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.closeAllConnections?.() ?? server.close());
  t.after(() => server.close());
  const endpoint = `http://127.0.0.1:${server.address().port}/`;
  const read = parameterReader({ region: 'eu-central-1', table: '/shop/table', keys: '/shop/keys', endpoint });
  const parameters = (...list) => ({ status: 200, body: JSON.stringify({ Parameters: list }) });

  answer = parameters({ Name: '/shop/keys', Value: '{"k1":"c2VjcmV0"}' }, { Name: '/shop/table', Value: text(7) });
  assert.deepEqual(await read(), { text: text(7), keys: { k1: 'c2VjcmV0' } });
  assert.equal(asked[0].headers['x-amz-target'], 'AmazonSSM.GetParameters');
  assert.match(asked[0].headers.authorization, /\/eu-central-1\/ssm\/aws4_request, SignedHeaders=content-type;host;x-amz-date/);
  assert.deepEqual(asked[0].body, { Names: ['/shop/table', '/shop/keys'], WithDecryption: true });

  answer = parameters({ Name: '/shop/table', Value: text(7) });
  assert.deepEqual((await read()).keys, {});
  answer = parameters();
  await assert.rejects(read(), /no parameter \/shop\/table/);
  answer = { status: 400, body: '{"__type":"ThrottlingException"}' };
  await assert.rejects(read(), /400 ThrottlingException/);
  answer = { status: 502, body: '<html>' };
  await assert.rejects(read(), /502/);
  answer = null;
  await assert.rejects(read(), /abort|timeout/i);
});

const settings = {
  routing: { secure: true },
  services: { api: { via: 'lambda', origins: { b: 'api-blue', g: 'api-green' } }, live: { via: 'header' } },
  origins: { 'api-blue': { domainName: 'blue.example.com', port: 443, protocol: 'https', path: '' } },
  outage: { message: 'We are back soon.', retry: '30' },
};
const fields = (headers) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [{ key: name, value }]]));

test('an origin request goes where viewer-request said, or nowhere', (t) => {
  quiet(t);
  const request = (headers) => ({ uri: '/api/x', method: 'GET', headers: fields({ host: 'shop.example.com', ...headers }) });
  const sent = originRequest(
    request({ 'x-cutover-component': 'api', 'x-cutover-origin': 'api-blue', 'x-cutover-note': 'n', 'x-cutover-key': 'k' }),
    settings,
  );
  assert.deepEqual(sent.origin, { custom: settings.origins['api-blue'] });
  assert.equal(sent.headers.host[0].value, 'blue.example.com');
  assert.deepEqual(Object.keys(sent.headers).sort(), ['host', 'x-cutover-component', 'x-cutover-key']);
  for (const headers of [
    { 'x-cutover-component': 'api' },
    { 'x-cutover-component': 'api', 'x-cutover-origin': 'api-green' },
    { 'x-cutover-component': 'api', 'x-cutover-origin': 'constructor' },
  ]) {
    const refused = originRequest(request(headers), settings);
    assert.deepEqual([refused.status, refused.headers['x-cutover-release'][0].value], ['503', 'none']);
  }
  for (const headers of [{}, { 'x-cutover-component': 'live' }]) {
    const passed = originRequest(request(headers), settings);
    assert.deepEqual([passed.origin, passed.headers.host[0].value], [undefined, 'shop.example.com']);
  }
});

test("an answer keeps its own cookies and loses an origin's attempts at ours", () => {
  const request = { method: 'GET', headers: fields({ 'x-cutover-note': 'new~green002~navigation~~1.green002.5.45' }) };
  const response = {
    status: '200',
    headers: {
      'content-type': [{ key: 'Content-Type', value: 'text/html' }],
      'set-cookie': ['sid=1; Path=/', '__HOST-Cutover=1.evil0001.1.1', ' cutover-preview = x'].map((value) => ({ key: 'Set-Cookie', value })),
    },
  };
  const cookies = dressResponse(request, response, settings).headers['set-cookie'].map(({ value }) => value.split(';')[0]);
  assert.deepEqual(cookies, ['sid=1', '__Host-cutover=1.green002.5.45']);
  const untouched = { status: '200', headers: { 'x-cutover-release': [{ key: 'x', value: 'origin' }] } };
  assert.deepEqual(dressResponse({ method: 'GET', headers: {} }, structuredClone(untouched), settings), untouched);
});
