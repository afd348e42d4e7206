// Builds variants of the shop with webpack into `dist-<variant>`.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import webpack from 'webpack';

import { addWorker, lay, wanted } from '../lay.mjs';

const here = import.meta.dirname;

// Writes `index.html` of the sources with what webpack made of the files it names.
class Document {
  constructor(source) {
    this.source = source;
  }

  apply(compiler) {
    const { Compilation, sources } = compiler.webpack;
    compiler.hooks.thisCompilation.tap('Document', (compilation) => {
      const stage = Compilation.PROCESS_ASSETS_STAGE_REPORT;
      compilation.hooks.processAssets.tapPromise({ name: 'Document', stage }, async () => {
        const files = [...compilation.entrypoints.values()].flatMap((entry) => entry.getFiles());
        const icon = compilation.getAssets().find(({ info }) => info.sourceFilename === 'images/icon.svg');
        const head = [
          `<link rel="icon" type="image/svg+xml" href="/${icon.name}" />`,
          ...files.filter((file) => file.endsWith('.css')).map((file) => `<link rel="stylesheet" href="/${file}" />`),
          ...files.filter((file) => file.endsWith('.js')).map((file) => `<script defer src="/${file}"></script>`),
        ];
        const html = (await readFile(this.source, 'utf8'))
          .replace(/^ *(<link rel="(icon|stylesheet)"|<script).*\n/gm, '')
          .replace('</head>', `  ${head.join('\n    ')}\n  </head>`);
        compilation.emitAsset('index.html', new sources.RawSource(html));
      });
    });
  }
}

for (const variant of wanted()) {
  const root = await lay(here, variant);
  const dist = join(here, `dist-${variant}`);
  const stats = await promisify(webpack)({
    mode: 'production',
    context: root,
    entry: ['./theme.css', './styles.css', './images/icon.svg', './main.js'],
    output: {
      path: dist,
      clean: true,
      publicPath: '/',
      filename: 'assets/[name]-[contenthash].js',
      chunkFilename: 'assets/[name]-[contenthash].js',
      cssFilename: 'assets/[name]-[contenthash].css',
      assetModuleFilename: 'assets/[name]-[contenthash][ext]',
    },
    experiments: { css: true },
    module: { rules: [{ test: /\.svg$/, type: 'asset/resource' }] },
    plugins: [new Document(join(root, 'index.html'))],
  });
  if (stats.hasErrors() || stats.hasWarnings()) {
    console.error(stats.toString({ colors: false }));
    process.exit(1);
  }
  await addWorker(variant, dist);
  console.log(`webpack: dist-${variant}`);
}
