// The vectors of conformance/, and files of the same form from elsewhere: what each case asks of the decision core.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const directory = new URL('../../../../conformance/', import.meta.url);
const read = (file) => JSON.parse(readFileSync(new URL(file, directory), 'utf8'));

// Every file of the index, with as many cases as the index promises.
export function vectorFiles() {
  const index = read('index.json');
  assert.equal(index.version, 1);
  const files = index.files.map((listed) => {
    const file = read(listed.file);
    assert.equal(file.kind, listed.kind, `${listed.file}: kind`);
    assert.equal(file.cases.length, listed.cases, `${listed.file}: number of cases`);
    return { file: listed.file, ...file };
  });
  assert.equal(
    files.reduce((sum, file) => sum + file.cases.length, 0),
    index.cases,
    'the index promises another number of cases',
  );
  return files;
}

// A described request with everything it left out.
export function whole(request) {
  return { method: 'GET', query: '', headers: [], request_id: 'req-1', now: 1800000000, ...request };
}

// The table and settings of a case of `decide`.
export function patched(file, { patch = {} }) {
  return { table: { ...file.table, ...patch.table }, settings: { ...file.settings, ...patch.settings } };
}

const LETTERS = { staged: 's', candidate: 'c', active: 'a', draining: 'd', closed: 'x', blue: 'b', green: 'g' };

// A table as people write it, in the members of the compact form.
export function tableOf(human) {
  const releases = Object.entries(human.releases ?? {});
  return {
    v: 1,
    g: human.generation,
    d: human.default ?? undefined,
    s: (human.shares ?? []).map(({ release, first, width }) => [release, first, width]),
    o: human.offset ?? 0,
    r: Object.fromEntries(releases.map(([id, { state, slot }]) => [id, LETTERS[state] + (LETTERS[slot] ?? '')])),
    a: { ...human.audiences },
  };
}

// A list of preview keys, as the core takes them: the first of a name that is long enough counts.
export function keysOf(list = []) {
  const usable = list.filter(({ secret }) => Buffer.from(secret, 'base64').length >= 16);
  return Object.fromEntries(usable.reverse().map(({ kid, secret }) => [kid, secret]));
}

// The raw path of a case of `path`, and what it has to become.
export function rawPath({ raw, times = 1, expect }) {
  const [text, repeated] = expect.path_times ?? [];
  return { raw: raw.repeat(times), want: text === undefined ? expect : { path: text.repeat(repeated) } };
}

// What a case asks of the core as plain data, and the answer it wants; null where it asks for what is done at build time.
export function coreCase(file, vector) {
  const { expect } = vector;
  switch (file.kind) {
    case 'hash':
      return { ask: { text: vector.text }, want: expect };
    case 'pin':
      return { ask: { value: vector.value }, want: expect };
    case 'token': {
      const { form, value } = vector;
      return { ask: { form, value, host: file.host, now: file.now, keys: keysOf(file.keys) }, want: expect };
    }
    case 'path': {
      const { raw, want } = rawPath(vector);
      return { ask: { raw }, want };
    }
    case 'pattern': {
      if (expect.error) return null;
      const paths = [...expect.matches, ...expect.not];
      return { ask: { pattern: vector.pattern, paths }, want: paths.map((path) => expect.matches.includes(path)) };
    }
    case 'classify':
      return { ask: { request: whole(vector.request) }, want: expect };
    case 'share':
      return { ask: { table: tableOf(vector.table), bucket: vector.bucket }, want: expect };
    case 'compact':
      return vector.table
        ? { ask: { table: tableOf(vector.table) }, want: { compact: expect.compact } }
        : { ask: { compact: vector.compact }, want: { compact: expect.error ? null : vector.compact } };
    case 'decide': {
      const { table, settings } = patched(file, vector);
      const ask = {
        table: tableOf(table),
        settings: { ...settings, keys: keysOf(settings.keys) },
        request: whole(vector.request),
      };
      return { ask, want: { ...NOTHING, ...expect } };
    }
    default:
      throw new Error(`unknown kind of vectors: ${file.kind}`);
  }
}

// A decision with everything that may be left out.
const NOTHING = {
  release: null,
  rest: null,
  token: null,
  ended: null,
  bucket: null,
  set_pin: null,
  clear_preview: false,
  stale: false,
  strip_conditionals: false,
  bot: false,
};

