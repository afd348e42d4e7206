// Bakes the settings of an app into the templates of dist/: what is deployed. docs/edge-functions.md describes both sides,
// since others bake as well.
//
//   node bake.mjs SETTINGS.json DIRECTORY

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { normalisePath } from './src/core/path.js';
import { readTable } from './src/core/table.js';

const VERSION = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')).version;

// What CloudFront takes as the code of a function, in bytes.
export const FUNCTION_LIMIT = 10240;

// A template of dist/.
export function readTemplate(name) {
  return readFileSync(new URL(`dist/${name}.js`, import.meta.url), 'utf8');
}

// The template for viewer requests that holds what the app needs, and no more.
export function requestTemplate({ routing }) {
  const rules = routing.audiences ?? [];
  const features = [];
  if (rules.length) features.push('audiences');
  if (routing.policy === 'entry') features.push('entry');
  if (rules.some(({ when }) => when.cidr)) features.push('networks');
  return ['function-request', ...features].join('.');
}

// Bakes one function: `{ name, text, edge, bytes, limit }`. `app` is what docs/edge-functions.md calls the settings.
export function bake(name, app, template = readTemplate(name)) {
  const settings = prepared(app, name);
  // The answer's function decides nothing.
  const needed = name === 'function-response' ? { routing: { secure: settings.routing.secure } } : settings;
  const digest = createHash('sha256').update(template).update(JSON.stringify(needed)).digest('hex').slice(0, 12);
  const edge = `${VERSION}+${digest}`;
  const parts = template.split('CUTOVER_SETTINGS');
  if (parts.length !== 2) throw new Error(`${name}: the template has ${parts.length - 1} places for settings`);
  const text = `// cutover ${name} ${edge}\n${parts.join(ascii(JSON.stringify({ edge, ...needed })))}`;
  return { name, text, edge, bytes: text.length, limit: name.startsWith('function-') ? FUNCTION_LIMIT : 50 << 20 };
}

// JSON that is JavaScript whatever the file is taken for.
function ascii(json) {
  return json.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

// The settings as the templates take them, or an error that says what is wrong.
export function prepared(app, name = 'lambda') {
  const lambda = name.startsWith('lambda');
  const { host, secure, policy, cookieless, keep, audiences, preview_service_worker } = app.routing;
  if (typeof host !== 'string' || host !== host.toLowerCase()) throw new Error('routing.host has to be in lower case');
  const patterns = [
    ...(keep ?? []),
    ...(audiences ?? []).flatMap(({ when }) => when.path ?? []),
    ...(app.site?.fingerprinted ?? []),
    ...(app.site?.pages ?? []),
    ...(app.services ?? []).flatMap(({ routes }) => routes),
  ];
  for (const pattern of patterns) {
    const why = patternFault(pattern);
    if (why) throw new Error(`the pattern ${JSON.stringify(pattern)} ${why}`);
  }
  if (app.fallback !== undefined && !readTable(app.fallback)) throw new Error('fallback is no table in compact form');
  if (app.site?.fallback !== undefined && !app.site.fallback.startsWith('/')) {
    throw new Error('site.fallback has to start with a slash');
  }
  const services = {};
  for (const { name: service, via, origins } of app.services ?? []) {
    if (via !== 'id' && via !== 'lambda' && via !== 'header') throw new Error(`service ${service}: via has to be id, lambda or header`);
    if (name === 'lambda' && via === 'id') throw new Error(`service ${service}: Lambda@Edge cannot select origins by id: via lambda`);
    const { blue, green, any } = origins ?? {};
    if (via !== 'header' && !any && !(blue && green)) throw new Error(`service ${service}: origins needs blue and green, or any`);
    services[service] = { via, origins: via === 'header' ? undefined : pruned({ b: blue, g: green, any }) };
  }
  const routes = (app.services ?? []).flatMap((service) => service.routes.map((pattern) => [pattern, service.name]));
  routes.sort(([one], [other]) => specificity(other) - specificity(one));
  return pruned({
    routing: pruned({ host, secure, policy, cookieless, keep, audiences, preview_service_worker }),
    site: app.site && pruned(app.site),
    routes,
    services: pruned(services),
    country: app.country,
    outage: outage(app.outage ?? {}),
    fallback: app.fallback,
    ssm: lambda ? app.lambda?.ssm : undefined,
    origins: lambda ? app.lambda?.origins : undefined,
  });
}

// Without what is left out anyway.
function pruned(object) {
  const told = ([name, value]) =>
    name === 'routes' ||
    (name === 'site' && value !== undefined) ||
    (value !== undefined && value !== false && !(Array.isArray(value) && !value.length) &&
      !(name === 'policy' && value === 'navigation') && !(name === 'cookieless' && value === 'default') &&
      !(value !== null && typeof value === 'object' && !Object.keys(value).length));
  return Object.fromEntries(Object.entries(object).filter(told));
}

// Why a text is no path pattern; nothing where it is one.
export function patternFault(text) {
  if (Buffer.byteLength(text) > 255) return 'is longer than 255 bytes';
  if (!/^[/*]/.test(text)) return "does not start with '/' or '*'";
  if (text.includes('**')) return "has '**'";
  if (text.split('*').length > 9) return 'has more than 8 wildcards';
  const probe = text.startsWith('/') ? text : `/${text}`;
  const normal = normalisePath(probe);
  if (normal.error) return `has what no path may have (${normal.error})`;
  return normal.path === probe ? undefined : 'is not in normal form';
}

// Of two patterns that cover a path, the larger one decides.
export function specificity(pattern) {
  const literal = Buffer.byteLength(pattern.replaceAll('*', ''));
  return pattern.includes('*') ? literal : literal + 510;
}

// The outage page's message, and the page where that says more.
function outage({ message = 'We are back soon.', contacts = [], retry_after = 30 }) {
  const escape = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  const link = (contact) =>
    /^(https?:\/\/|mailto:|tel:)/.test(contact) ? `<a href="${escape(contact)}">${escape(contact)}</a>` : escape(contact);
  const html = `${escape(message)}${contacts.map((contact) => `<p>${link(contact)}`).join('')}`;
  return { message, html: html === message ? undefined : html, retry: `${retry_after}` };
}

// Every function of a way to deploy: `functions`, `lambda`, or `mixed`.
export function bundles(way, app) {
  const viewer = [requestTemplate(app), 'function-own', 'function-response'];
  const names = { functions: viewer, lambda: ['lambda'], mixed: [...viewer, 'lambda-origin'] }[way];
  return names.map((name) => bake(name, app));
}

function main([file, directory]) {
  if (!file || !directory) throw new Error('usage: node bake.mjs SETTINGS.json DIRECTORY');
  const app = JSON.parse(readFileSync(file, 'utf8'));
  mkdirSync(directory, { recursive: true });
  for (const { name, text, bytes, limit } of bundles(app.way ?? 'functions', app)) {
    const share = Math.round((100 * bytes) / limit);
    console.log(`${name}.js  ${bytes} bytes, ${share} % of what CloudFront takes`);
    if (bytes > limit) throw new Error(`${name}.js is ${bytes - limit} bytes too long; take Lambda@Edge, or fewer audiences`);
    writeFileSync(join(directory, `${name}.js`), text);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main(process.argv.slice(2));
