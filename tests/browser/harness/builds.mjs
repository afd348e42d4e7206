// The builds of the shop under test: one made by the binary itself, one by each bundler. All are released with the
// same service, the one inside the binary.

import { execFile } from 'node:child_process';
import { access, cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { binary } from './binary.mjs';

const bundlers = fileURLToPath(new URL('../../../examples/shop/bundlers/', import.meta.url));
const all = ['builtin', 'vite', 'webpack'];

// `SHOP_BUILDS=builtin,vite` narrows a run.
export const builds = (process.env.SHOP_BUILDS ?? all.join(',')).split(',').map((name) => {
  if (!all.includes(name)) throw new Error(`SHOP_BUILDS names ${name}; there are ${all.join(', ')}`);
  return name;
});

// Writes one release as an app's own build would leave it, and returns the path of its `cutover.toml`.
// `change(text, dir)` may edit the text of the description and add files.
export async function writeRelease(dir, { build, variant, worker = false, listen, control, change }) {
  const args = ['example', 'build', '--variant', variant, '--out', dir, '--listen', listen, '--control', control];
  if (worker) args.push('--worker');
  await promisify(execFile)(binary(), args);
  if (build !== 'builtin') {
    const dist = join(bundlers, build, `dist-${variant}${worker ? '-worker' : ''}`);
    await access(dist).catch(() => {
      throw new Error(`${dist} is missing: run scripts/browser-tests.sh, or npm run build in ${join(bundlers, build)}`);
    });
    await rm(join(dir, 'dist'), { recursive: true });
    await cp(dist, join(dir, 'dist'), { recursive: true });
  }
  const config = join(dir, 'cutover.toml');
  if (change) await writeFile(config, await change(await readFile(config, 'utf8'), dir));
  return config;
}
