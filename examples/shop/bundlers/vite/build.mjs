// Builds variants of the shop with Vite into `dist-<variant>`.

import { join } from 'node:path';
import { build } from 'vite';

import { addWorker, lay, wanted } from '../lay.mjs';

const here = import.meta.dirname;

for (const variant of wanted()) {
  const outDir = join(here, `dist-${variant}`);
  await build({
    root: await lay(here, variant),
    configFile: false,
    logLevel: 'warn',
    // Inlined pictures would be `data:` addresses, which the shop's content policy forbids.
    build: { outDir, emptyOutDir: true, assetsDir: 'assets', assetsInlineLimit: 0 },
  });
  await addWorker(variant, outDir);
  console.log(`vite: dist-${variant}`);
}
