// Every vector of conformance/ on the decision core and on the bundles, in every runtime that is here.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { njsVersion } from './harness/runtimes.mjs';
import { RUNTIMES } from './harness/suite.mjs';
import { vectorFiles } from './harness/vectors.mjs';

const files = vectorFiles();
const all = files.reduce((sum, file) => sum + file.cases.length, 0);
const njs = njsVersion();

for (const [name, run] of Object.entries(RUNTIMES)) {
  const skip = /njs/.test(name) && !njs ? 'there is no njs; scripts/setup-edge-tests.sh says more' : false;
  test(`every vector holds: ${name}`, { skip }, async (t) => {
    const { cases, checks, leftOut, failures } = await run(files);
    assert.deepEqual(failures, []);
    const out = Object.values(leftOut).reduce((sum, count) => sum + count, 0);
    t.diagnostic(`${cases} cases by ${checks} checks, ${out} left out`);
    for (const [reason, count] of Object.entries(leftOut)) t.diagnostic(`  ${count}: ${reason}`);
    assert.equal(cases + out, all);
    // Cases that no request can show are few, and do not become more unnoticed.
    assert.ok(out <= { core: 0, func: 65, Lamb: 32 }[name.slice(0, 4)], `${out} are left out`);
  });
}

test('a rule that is altered in a bundle shows', async () => {
  const altered = (text) => {
    const other = text.replaceAll('<=300', '<=3');
    assert.notEqual(other, text);
    return other;
  };
  for (const name of ['functions, Node', 'Lambda@Edge, Node']) {
    const { failures } = await RUNTIMES[name](files, altered);
    assert.ok(failures.length > 0 && failures.every((failure) => /newer-pin/.test(failure)), `${name}: ${failures}`);
  }
});
