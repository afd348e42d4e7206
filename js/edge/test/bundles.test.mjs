// What is deployed: committed templates, their sizes, and what baking refuses.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { bake, bundles, FUNCTION_LIMIT, patternFault, readTemplate, requestTemplate, specificity } from '../bake.mjs';
import { template, TEMPLATES } from '../build.mjs';
import { vectorFiles } from './harness/vectors.mjs';

const shop = JSON.parse(readFileSync(new URL('shop.json', import.meta.url), 'utf8'));

test('the committed templates are what the sources give', async () => {
  for (const each of TEMPLATES) {
    assert.equal(readTemplate(each.name), await template(each), `dist/${each.name}.js: npm run build`);
  }
});

test('functions are small enough, with the settings of an ordinary app by a twentieth', (t) => {
  for (const { name, bytes } of bundles('functions', shop)) {
    t.diagnostic(`${name}: ${bytes} of ${FUNCTION_LIMIT} bytes`);
    assert.ok(bytes <= FUNCTION_LIMIT * 0.95, `${name}: ${bytes}`);
  }
  const everything = {
    ...shop,
    routing: {
      ...shop.routing,
      policy: 'entry',
      audiences: [
        { name: 'staff', when: { header: { name: 'x-team', value: 'core' } } },
        { name: 'beta', when: { cookie: { name: 'beta' } } },
      ],
    },
  };
  const [{ name, bytes }] = bundles('functions', everything);
  t.diagnostic(`${name}: ${bytes} of ${FUNCTION_LIMIT} bytes`);
  assert.ok(bytes <= FUNCTION_LIMIT, `${name}: ${bytes}`);
});

test('the sizes in the documentation are those of the templates', () => {
  const page = readFileSync(new URL('../../../docs/edge-functions.md', import.meta.url), 'utf8');
  const told = [...page.matchAll(/^\| (plain|`[a-z.]+`).* \| (\d+ \d+) \|$/gm)].map(([, form, bytes]) => [
    form === 'plain' ? 'function-request' : `function-request.${form.replaceAll('`', '')}`,
    +bytes.replace(' ', ''),
  ]);
  const forms = TEMPLATES.filter(({ name }) => name.startsWith('function-request'));
  assert.deepEqual(Object.fromEntries(told), Object.fromEntries(forms.map(({ name }) => [name, readTemplate(name).length])));
});

test('functions use nothing that their runtime may not have', () => {
  for (const { name } of TEMPLATES.filter(({ name }) => name.startsWith('function-'))) {
    const text = readTemplate(name);
    assert.ok(/function handler\(e\)\{return \w+\(e\)\}\n$/.test(text), name);
    assert.ok(!/\bexport\b|\brequire\(|\?\?|\?\.|\.\.\.|\beval\b|\bnew (Map|Set|Function|Proxy|URL)\b/.test(text), name);
    assert.ok(!/\.(at|flat|flatMap|matchAll|replaceAll|normalize|fromEntries|hasOwn|entries|padStart)\(/.test(text), name);
    const imports = [...text.matchAll(/import \w+ from"(\w+)"/g)].map(([, from]) => from);
    assert.ok(imports.every((from) => from === 'cloudfront' || from === 'crypto'), `${name}: ${imports}`);
    // njs crashes on an `await` inside a call's arguments.
    assert.ok(!/\w\(await /.test(text), name);
  }
});

test('a bundle says what it is, and another setting makes another one', () => {
  const one = bake('function-own', shop);
  const other = bake('function-own', { ...shop, routing: { ...shop.routing, policy: 'sticky' } });
  assert.match(one.edge, /^\d+\.\d+\.\d+\+[0-9a-f]{12}$/);
  assert.ok(one.text.startsWith(`// cutover function-own ${one.edge}\n`));
  assert.equal(bake('function-own', shop).text, one.text);
  assert.notEqual(one.edge, other.edge);
});

test('the template holds what the app needs', () => {
  const named = (routing) => requestTemplate({ routing });
  const cidr = { name: 'office', when: { cidr: ['192.0.2.0/24'] } };
  assert.equal(named({}), 'function-request');
  assert.equal(named({ policy: 'entry' }), 'function-request.entry');
  assert.equal(named({ policy: 'entry', audiences: [cidr] }), 'function-request.audiences.entry.networks');
  for (const policy of ['navigation', 'entry', 'sticky']) {
    for (const audiences of [[], [{ name: 'a', when: { path: '/x' } }], [cidr]]) {
      assert.ok(readTemplate(named({ policy, audiences })).length > 0);
    }
  }
});

test('settings that cannot be meant are refused', () => {
  const refused = (part, message) => assert.throws(() => bake('function-request', { ...shop, ...part }), message);
  refused({ routing: { host: 'Shop.example.com' } }, /lower case/);
  refused({ routing: { ...shop.routing, keep: ['/a/../b'] } }, /normal form/);
  refused({ fallback: '{"v":2}' }, /no table/);
  refused({ site: { fallback: 'index.html' } }, /slash/);
  refused({ services: [{ name: 'api', routes: ['/api/*'], via: 'id', origins: { blue: 'one' } }] }, /blue and green/);
  refused({ services: [{ name: 'api', routes: ['/api/*'], via: 'dns' }] }, /via/);
  assert.throws(() => bake('lambda', shop), /cannot select origins by id/);
});

test('patterns are refused as everywhere, and the more specific one goes first', () => {
  const file = vectorFiles().find(({ kind }) => kind === 'pattern');
  for (const { pattern, expect } of file.cases) assert.equal(!!patternFault(pattern), !!expect.error, pattern);
  assert.ok(specificity('/api/health') > specificity('/api/*') && specificity('/api/*') > specificity('/*'));
});
