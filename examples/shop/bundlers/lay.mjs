// Lays the sources of a variant together for a bundler: release one with a few files laid over it. Also writes the
// service worker, whose list of files only exists after a build.

import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const shop = fileURLToPath(new URL('..', import.meta.url));
const SLOT = "/* filled in by the build */ { id: '', files: [] }";

// Variant to the directories laid over each other.
export const variants = {
  one: ['src'],
  two: ['src', 'two'],
  bad: ['src', 'two', 'bad'],
  'one-worker': ['src', 'worker'],
  'two-worker': ['src', 'two', 'worker'],
};

// The variants named on the command line, or all.
export function wanted() {
  const named = process.argv.slice(2);
  const unknown = named.filter((name) => !(name in variants));
  if (unknown.length > 0) {
    console.error(`error: no variant ${unknown.join(', ')}; there are ${Object.keys(variants).join(', ')}`);
    process.exit(2);
  }
  return named.length > 0 ? named : Object.keys(variants);
}

// Makes `laid/<variant>` below the bundler's directory and returns its path. Sources of a worker build are without
// `sw.js`: no module imports it.
export async function lay(bundler, variant) {
  const to = join(bundler, 'laid', variant);
  await rm(to, { recursive: true, force: true });
  await mkdir(to, { recursive: true });
  for (const layer of variants[variant]) await cp(join(shop, layer), to, { recursive: true });
  await rm(join(to, 'sw.js'), { force: true });
  return to;
}

// Adds `sw.js` to a finished build of a worker variant.
export async function addWorker(variant, dist) {
  if (!variants[variant].includes('worker')) return;
  const files = (await readdir(join(dist, 'assets'), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => `/${relative(dist, join(entry.parentPath, entry.name)).split(sep).join('/')}`)
    .sort();
  const document = await readFile(join(dist, 'index.html'), 'utf8');
  const id = createHash('sha256').update(document).update(files.join()).digest('hex').slice(0, 10);
  const worker = await readFile(join(shop, 'worker', 'sw.js'), 'utf8');
  if (!worker.includes(SLOT)) throw new Error(`worker/sw.js does not contain \`${SLOT}\``);
  await writeFile(join(dist, 'sw.js'), worker.replace(SLOT, JSON.stringify({ id, files })));
}
