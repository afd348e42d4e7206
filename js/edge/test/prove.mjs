// Every vector and every random case on every runtime: `node test/prove.mjs CASES.jsonl [--sabotage]`.
//
// A line of the file is a file of vectors with the answers of another implementation. The last line of what is printed is for
// programs: JSON. `--sabotage` alters one rule in copies of the bundles.

import { readFileSync } from 'node:fs';

import { njsVersion } from './harness/runtimes.mjs';
import { RUNTIMES } from './harness/suite.mjs';
import { vectorFiles } from './harness/vectors.mjs';

const [file] = process.argv.slice(2);
const sabotage = process.argv.includes('--sabotage');
const fuzz = readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const vectors = vectorFiles();
const njs = njsVersion();

function altered(text) {
  const other = text.replaceAll('<=300', '<=3');
  if (other === text) throw new Error('the rule that is altered is not there');
  return other;
}

const runtimes = [];
for (const [name, run] of Object.entries(RUNTIMES)) {
  if (/njs/.test(name) && !njs) {
    console.log(`${name}: not run, njs is not installed`);
    continue;
  }
  const alter = sabotage ? altered : undefined;
  const started = performance.now();
  const known = await run(vectors, alter);
  const random = await run(fuzz, alter);
  const failures = [...known.failures, ...random.failures];
  const leftOut = Object.values(known.leftOut).reduce((sum, count) => sum + count, 0);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `${name}: ${known.cases} vectors (${leftOut} left out), ${random.cases} random cases, ` +
      `${known.checks + random.checks} checks, ${failures.length} differ, ${seconds} s`,
  );
  for (const [reason, count] of Object.entries(known.leftOut)) console.log(`  left out, ${count}: ${reason}`);
  for (const failure of failures.slice(0, 3)) console.log(`  ${failure.replaceAll('\n', '\n  ')}`);
  runtimes.push({ name, vectors: known.cases, random: random.cases, differ: failures.length });
}
console.log(JSON.stringify({ njs, runtimes }));
