// Every case of the vectors on one runtime: how many ran, which were left out and why, which failed.

import { isDeepStrictEqual } from 'node:util';

import { runOnCore } from './core-runner.mjs';
import { probesOf } from './probes.mjs';
import { coreUnderNjs, functionsInNode, functionsUnderNjs, lambdaInNode } from './runtimes.mjs';
import { coreCase } from './vectors.mjs';
import { patternFault } from '../../bake.mjs';

// `run(files, alter)` for each runtime.
export const RUNTIMES = {
  'core, Node': (files) => core(files, async (asked) => asked.map(({ kind, ask }) => runOnCore(kind, copy(ask)))),
  'core, njs': (files) => core(files, coreUnderNjs),
  'functions, Node': (files, alter) => bundle(files, 'function', (probes) => functionsInNode(probes, alter)),
  'functions, njs': (files, alter) => bundle(files, 'function', (probes) => functionsUnderNjs(probes, alter)),
  'Lambda@Edge, Node': (files, alter) => bundle(files, 'lambda', (probes) => lambdaInNode(probes, alter)),
};

const copy = (value) => JSON.parse(JSON.stringify(value));
const name = (file, at, vector) => `${file.file} case ${at} (${vector.why})`;

async function core(files, run) {
  const result = { cases: 0, checks: 0, leftOut: {}, failures: [] };
  const asked = [];
  files.forEach((file) =>
    file.cases.forEach((vector, at) => {
      result.cases++;
      const made = coreCase(file, vector);
      if (made) asked.push({ kind: file.kind, ask: made.ask, want: made.want, name: name(file, at, vector) });
      else if (!patternFault(vector.pattern)) result.failures.push(`${name(file, at, vector)}: the pattern is taken`);
      else result.checks++;
    }),
  );
  const said = await run(asked.map(({ kind, ask }) => ({ kind, ask })));
  asked.forEach((one, at) => {
    result.checks++;
    if (!isDeepStrictEqual(said[at], copy(one.want))) {
      result.failures.push(`${one.name}\n  got  ${JSON.stringify(said[at])}\n  want ${JSON.stringify(one.want)}`);
    }
  });
  return result;
}

async function bundle(files, runtime, run) {
  const result = { cases: 0, checks: 0, leftOut: {}, failures: [] };
  const probes = [];
  files.forEach((file) =>
    file.cases.forEach((vector, at) => {
      const made = probesOf(file, vector, runtime);
      if (made.leftOut) return (result.leftOut[made.leftOut] = (result.leftOut[made.leftOut] ?? 0) + 1);
      result.cases++;
      probes.push(...made.probes.map((probe) => ({ ...probe, name: name(file, at, vector) })));
    }),
  );
  const seen = await run(probes);
  probes.forEach((probe, at) => {
    result.checks++;
    const wrong = differences(probe, seen[at]);
    if (wrong.length) result.failures.push(`${probe.name}\n  ${wrong.join('\n  ')}`);
  });
  return result;
}

// What is seen and was not wanted.
function differences({ want, request }, seen) {
  if (!seen) return ['no answer'];
  const all = { ...seen, status: seen.status ?? null, path: seen.uri && decode(seen.uri) };
  const wanted = { status: null, ...want };
  if (want.moves !== undefined) {
    all.moves = /^(new|bot)$/.test(seen.reason);
    if (!want.moves) delete wanted.kind;
  }
  if (want.preview) all.preview = seen.preview.split('.').slice(0, 3).join('.');
  if (want.state) {
    const { generation, default: id } = JSON.parse(seen.body);
    all.state = { generation, default: id };
  }
  const wrong = Object.keys(wanted)
    .filter((key) => !isDeepStrictEqual(all[key], wanted[key]))
    .map((key) => `${key}: got ${JSON.stringify(all[key])}, want ${JSON.stringify(wanted[key])}`);
  // What holds for every answer.
  if (seen.left) wrong.push('a cookie of ours went on to the origin');
  if (seen.set && seen.cached !== 'private, no-cache') wrong.push(`a pin with cache-control ${seen.cached}`);
  if (seen.status && seen.cached !== 'no-store') wrong.push(`an answer of our own with cache-control ${seen.cached}`);
  if (!seen.status && seen.shown !== seen.release) wrong.push(`the answer says it is of ${seen.shown}`);
  if (wrong.length) wrong.push(`by ${request.method} ${request.uri}`);
  return wrong;
}

function decode(uri) {
  try {
    return decodeURIComponent(uri);
  } catch {
    return uri;
  }
}
