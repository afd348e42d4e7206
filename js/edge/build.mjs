// Builds the templates in dist/ from src/: one file for each function, minified, with `CUTOVER_SETTINGS` where the settings
// of an app go. They are committed, so that whoever deploys needs no Node; `--check` says whether they are what src/ gives.

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

import { build } from 'esbuild';

const here = (path) => new URL(path, import.meta.url);

const FUNCTION = {
  format: 'esm',
  platform: 'neutral',
  // What CloudFront's JavaScript runtime 2.0 has: ES 5.1 and these. esbuild refuses, or rewrites, whatever else is used.
  target: 'es5',
  supported: { 'arrow': true, 'async-await': true, 'const-and-let': true, 'template-literal': true },
  external: ['cloudfront', 'crypto'],
  // Members of our own, by their names in src/. None of them is a member of an event, of the settings, or of the language;
  // where one is written into JSON or a header its name is quoted, and stays.
  mangleProps:
    /^(behind|bucket|bot|clear|clientAddress|clientCountry|cookieValue|ended|error|expiry|generation|headerValue|kid|kind|newHeaders|newUri|normalPath|originId|pin|plain|queryText|rawPath|reason|release|replyBody|replyHeaders|replyStatus|rest|setCookie|stale|strip|tid|token|uniqueId|unixTime|verb)$/,
};
// Labelled statements a function does without. ANY_TEXT: what CloudFront has seen to before, lengths and the ASCII of paths
// and ids. TOLD: what is only for those who watch. RESERVED and APP: the addresses of the edge, and all others.
const APP = ['ANY_TEXT', 'TOLD', 'RESERVED'];
// What only some apps need; a function has 10 KB.
const FEATURES = { audiences: 'AUDIENCES', entry: 'ENTRY', networks: 'NETWORKS' };
const LAMBDA = { format: 'cjs', platform: 'node', target: 'node22' };

export const TEMPLATES = [
  ...['', '.audiences', '.entry', '.audiences.entry', '.audiences.networks', '.audiences.entry.networks'].map(
    (features) => ({
      name: `function-request${features}`,
      source: 'function-request',
      options: { ...FUNCTION, dropLabels: [...APP, ...without(features.split('.'))] },
    }),
  ),
  {
    name: 'function-own',
    source: 'function-own',
    options: { ...FUNCTION, dropLabels: ['ANY_TEXT', 'TOLD', 'APP', 'NETWORKS'] },
  },
  { name: 'function-response', source: 'function-response', options: FUNCTION },
  { name: 'lambda', source: 'lambda', options: LAMBDA },
  { name: 'lambda-origin', source: 'lambda-origin', options: LAMBDA },
];

function without(features) {
  return Object.keys(FEATURES)
    .filter((feature) => !features.includes(feature))
    .map((feature) => FEATURES[feature]);
}

// The text of a template.
export async function template({ source, options }) {
  const result = await build({
    ...options,
    entryPoints: [here(`src/platform/${source}.js`).pathname],
    bundle: true,
    minify: true,
    charset: 'ascii',
    legalComments: 'none',
    write: false,
    logLevel: 'error',
  });
  const text = result.outputFiles[0].text.trim();
  return `${options.format === 'esm' ? withHandler(text) : text}\n`;
}

// CloudFront takes a function named `handler` and knows no exports.
function withHandler(text) {
  const exported = /export\{([\w$]+) as handler\};$/.exec(text);
  if (!exported) throw new Error(`the bundle does not end in its export: ${text.slice(-80)}`);
  return `${text.slice(0, exported.index)}function handler(e){return ${exported[1]}(e)}`;
}

async function main() {
  const check = process.argv.includes('--check');
  let stale = false;
  mkdirSync(here('dist/'), { recursive: true });
  const names = TEMPLATES.map(({ name }) => `${name}.js`);
  for (const other of readdirSync(here('dist/')).filter((file) => !names.includes(file))) {
    if (!check) rmSync(here(`dist/${other}`));
    stale = true;
  }
  for (const each of TEMPLATES) {
    const text = await template(each);
    const path = here(`dist/${each.name}.js`);
    if (!check) {
      writeFileSync(path, text);
      console.log(`${`${each.name}.js`.padEnd(48)} ${text.length} bytes`);
    } else if (!names.includes(`${each.name}.js`) || readFileSync(path, 'utf8') !== text) {
      stale = true;
    }
  }
  if (check && stale) {
    console.error('js/edge/dist is not what js/edge/src gives: npm run build');
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
