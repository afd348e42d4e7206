// The bundles where they run: functions in Node with no more than CloudFront's runtime has, functions under njs, Lambda@Edge
// in Node. Each runner takes probes and gives what is seen.

import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import { createRequire } from 'node:module';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import vm from 'node:vm';

import { build } from 'esbuild';

import { bake, requestTemplate } from '../../bake.mjs';
import { normalisePath } from '../../src/core/path.js';
import { functionEvent, lambdaEvent, lambdaResponseEvent } from './function-events.mjs';

const here = (path) => new URL(path, import.meta.url).pathname;

// A module of ours as a script without modules: `names` of its exports are members of `ours`.
async function plain(path, names) {
  const { outputFiles } = await build({
    stdin: {
      contents: `import { ${names} } from ${JSON.stringify(here(path))};\nOURS = { ${names} };`,
      resolveDir: here('.'),
    },
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    external: ['crypto'],
    target: 'es5',
    supported: { 'arrow': true, 'async-await': true, 'const-and-let': true, 'template-literal': true },
    write: false,
    logLevel: 'error',
  });
  return unimported(outputFiles[0].text).replace('OURS = ', 'ours = ');
}

// Modules of the platform become members of the script's world.
function unimported(text) {
  return text.replace(/import ([\w$]+) from ?"(cloudfront|crypto)";/g, 'const $1 = platform_$2;');
}

const STUBS = `
var ours;
var world = { store: {}, time: 0, chosen: '' };
const platform_cloudfront = {
  kvs: function () {
    return {
      get: function (key) {
        return Object.prototype.hasOwnProperty.call(world.store, key)
          ? Promise.resolve(world.store[key])
          : Promise.reject(new Error('KeyNotFound'));
      },
    };
  },
  selectRequestOriginById: function (id) { world.chosen = id; },
};
Date.now = function () { return world.time * 1000; };
`;

// What Node has and CloudFront's runtime has not (or nobody knows), as far as a script could reach it.
const ABSENT = `
for (const name of ['Map', 'Set', 'WeakMap', 'WeakSet', 'Proxy', 'Reflect', 'BigInt', 'Intl', 'eval', 'Function']) delete globalThis[name];
for (const name of ['at', 'flat', 'flatMap', 'findLast', 'toSorted', 'includes', 'values', 'entries']) delete Array.prototype[name];
for (const name of ['at', 'matchAll', 'normalize', 'replaceAll', 'padStart']) delete String.prototype[name];
for (const name of ['fromEntries', 'hasOwn', 'entries', 'values', 'assign']) delete Object[name];
`;

function functionScript(at, driver) {
  const functions = [requestTemplate(at), 'function-own', 'function-response'].map((name) => bake(name, at).text);
  const wrapped = functions.map((text) => `(function () {\n${unimported(text)}\nreturn handler;\n})()`);
  return `${driver}\nconst functions = { request: ${wrapped[0]}, own: ${wrapped[1]}, response: ${wrapped[2]} };\n`;
}

function job(probe) {
  const { path } = normalisePath(probe.request.uri);
  return {
    event: functionEvent(probe.request),
    query: probe.request.query,
    normal: path ?? '',
    store: probe.store,
    time: probe.request.now,
  };
}

// Calls `run(app, jobs)` for each app once, and puts the answers in the order of the probes.
async function byApp(probes, run) {
  const groups = new Map();
  probes.forEach((probe, at) => {
    const key = JSON.stringify(probe.app);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(at);
  });
  const seen = new Array(probes.length);
  for (const places of groups.values()) {
    const answers = await run(probes[places[0]].app, places.map((at) => job(probes[at])));
    places.forEach((at, index) => (seen[at] = answers[index]));
  }
  return seen;
}

// Functions in Node. `alter` may change the script, to see that it shows.
export async function functionsInNode(probes, alter = (text) => text) {
  const driver = await plain('function-driver.js', 'drive');
  return byApp(probes, async (at, jobs) => {
    const context = vm.createContext({
      platform_crypto: crypto,
      Buffer,
      console: { log() {} },
      given: JSON.stringify(jobs),
    });
    vm.runInContext(ABSENT, context);
    const text = `${STUBS}${alter(functionScript(at, driver))}
      ours.drive(functions, world, JSON.parse(given), (seen) => JSON.stringify(seen));`;
    return JSON.parse(await vm.runInContext(text, context));
  });
}

// Which njs is here, if one is.
export function njsVersion() {
  try {
    return execFileSync(process.env.NJS ?? 'njs', ['-v'], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}

// Runs a script under njs; it calls `answer(value)` once.
function underNjs(text, given) {
  const directory = mkdtempSync(join(tmpdir(), 'cutover-njs-'));
  try {
    const [code, input, output] = ['code.js', 'given.json', 'seen.json'].map((name) => join(directory, name));
    writeFileSync(input, JSON.stringify(given));
    writeFileSync(
      code,
      `const platform_crypto = require('crypto');
const fs = require('fs');
const given = JSON.parse(fs.readFileSync(${JSON.stringify(input)}, 'utf8'));
function answer(seen) { fs.writeFileSync(${JSON.stringify(output)}, JSON.stringify(seen)); }
${text}`,
    );
    try {
      execFileSync(process.env.NJS ?? 'njs', [code], { stdio: ['ignore', 'pipe', 'pipe'] });
    } catch (error) {
      throw new Error(`njs ended with ${error.signal ?? error.status}: ${error.stdout}${error.stderr}`, { cause: error });
    }
    return JSON.parse(readFileSync(output, 'utf8'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

// Functions under njs.
export async function functionsUnderNjs(probes, alter = (text) => text) {
  const driver = await plain('function-driver.js', 'drive');
  return byApp(probes, async (at, jobs) =>
    underNjs(`${STUBS}${alter(functionScript(at, driver))}\nours.drive(functions, world, given, answer);`, jobs),
  );
}

// The decision core under njs: the answers to what `coreCase` made of vectors.
export async function coreUnderNjs(asked) {
  const runner = await plain('core-runner.mjs', 'runOnCore');
  const text = `var ours;\n${runner}\nanswer(given.map(function (one) { return ours.runOnCore(one.kind, one.ask); }));`;
  return underNjs(text, asked);
}

// Lambda@Edge in Node, cold for each probe. The parameter store is a stub; its client is tested apart.
export async function lambdaInNode(probes, alter = (text) => text) {
  const require = createRequire(import.meta.url);
  const compiled = new Map();
  const load = (at) => {
    const key = JSON.stringify(at);
    if (!compiled.has(key)) {
      const { text } = bake('lambda', { ...at, lambda: { ssm: { region: 'us-east-1', table: '/t', keys: '/k' } } });
      const parameters = ['require', 'module', 'exports', 'console', 'Date'];
      compiled.set(key, vm.compileFunction(alter(text), parameters));
    }
    return compiled.get(key);
  };
  const seen = [];
  for (const probe of probes) {
    const module = { exports: {} };
    const clock = class extends Date {
      static now() {
        return probe.request.now * 1000;
      }
    };
    const modules = { https: parameterStore(probe.store) };
    load(probe.app)((name) => modules[name] ?? require(name), module, module.exports, { log() {} }, clock);
    seen.push(await askLambda(module.exports.handler, probe.request));
  }
  return seen;
}

// A client of HTTPS that answers as SSM does.
function parameterStore(store) {
  const keys = Object.entries(store).filter(([name]) => name.startsWith('k:'));
  const secrets = Object.fromEntries(keys.map(([name, secret]) => [name.slice(2), secret]));
  const body = JSON.stringify({
    Parameters: [
      { Name: '/t', Value: store.rt },
      { Name: '/k', Value: JSON.stringify(secrets) },
    ],
  });
  return {
    Agent: class {},
    request(url, options, answer) {
      const listeners = {};
      const response = { statusCode: 200, setEncoding() {}, on: (name, listener) => (listeners[name] = listener) };
      return {
        on() {},
        end() {
          queueMicrotask(() => {
            answer(response);
            listeners.data(body);
            listeners.end();
          });
        },
      };
    },
  };
}

async function askLambda(handler, request) {
  const event = lambdaEvent(request);
  const said = await handler(event);
  const value = (headers, name) => headers[name]?.[0]?.value ?? '';
  const cookies = (headers) => (headers['set-cookie'] ?? []).map((one) => /^([^=]+)=([^;]*); (.*)$/.exec(one.value));
  const preview = (headers) => cookies(headers).find(([, name]) => name.endsWith('preview'));
  if (said.status) {
    return {
      status: +said.status,
      release: value(said.headers, 'x-cutover-release'),
      reason: value(said.headers, 'x-cutover-reason'),
      stale: value(said.headers, 'x-cutover-stale') === '1',
      clear: preview(said.headers)?.[2] === '',
      preview: preview(said.headers)?.[2] ?? '',
      location: value(said.headers, 'location'),
      body: said.body,
      cached: value(said.headers, 'cache-control'),
    };
  }
  const response = {
    status: '200',
    statusDescription: 'OK',
    headers: {
      'content-type': [{ key: 'Content-Type', value: 'text/html; charset=utf-8' }],
      'cache-control': [{ key: 'Cache-Control', value: 'max-age=60' }],
    },
  };
  const answer = await handler(lambdaResponseEvent(event, said, response));
  const pin = cookies(answer.headers).find(([, name]) => !name.endsWith('preview'));
  return {
    release: value(said.headers, 'x-cutover-release'),
    reason: value(answer.headers, 'x-cutover-reason'),
    shown: value(answer.headers, 'x-cutover-release'),
    kind: value(said.headers, 'x-cutover-note').split('~')[2],
    stale: value(answer.headers, 'x-cutover-stale') === '1',
    clear: preview(answer.headers)?.[2] === '',
    set: pin?.[2] ?? '',
    attributes: pin?.[3] ?? '',
    strip: !said.headers['if-none-match'] && !said.headers['if-modified-since'],
    key: value(said.headers, 'x-cutover-key'),
    uri: said.uri,
    origin: value(said.headers, 'x-cutover-origin'),
    cached: value(answer.headers, 'cache-control'),
    left: /(^|; )(__host-)?cutover(-preview)?=/i.test(value(said.headers, 'cookie')) ? 1 : 0,
  };
}
