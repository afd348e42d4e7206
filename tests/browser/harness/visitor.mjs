// A person with a browser: one profile with its own cookies, any number of tabs, and a record of everything that went
// wrong in them.
//
// Every tab keeps, for each document it shows, which release the document came from and what each answer for it said.
// A visit is mixed when an answer comes from another release and does not say that it is stale. Files named by their
// content are the same bytes wherever they come from; for them only success counts.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

import { until } from './cutover.mjs';

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let shared;

// One browser for all tests of a file; each visitor has a context of its own.
export async function browser() {
  shared ??= chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags });
  return shared;
}

export async function closeBrowser() {
  await (await shared)?.close();
}

export class Visitor {
  static async arrive(cutover, { viewport = { width: 1280, height: 900 } } = {}) {
    const context = await (await browser()).newContext({ baseURL: cutover.url, viewport });
    cutover.contexts.push(context);
    return new Visitor(context, cutover);
  }

  constructor(context, cutover) {
    this.context = context;
    this.cutover = cutover;
    // What went wrong, in words. A test ends with `assertWhole`.
    this.trouble = [];
    this.allowed = [];
    this.tabs = [];
  }

  // Opens a tab.
  async tab(path) {
    const tab = new Tab(await this.context.newPage(), this);
    this.tabs.push(tab);
    if (path !== undefined) await tab.open(path);
    return tab;
  }

  // Trouble matching the pattern is part of the test.
  allow(pattern) {
    this.allowed.push(pattern);
  }

  cookie(name) {
    return this.context.cookies().then((all) => all.find((cookie) => cookie.name === name));
  }

  // The release this visitor is pinned to.
  async pin() {
    return (await this.cookie('cutover'))?.value.split('.')[1];
  }

  // Nothing went wrong in any tab: no message on the console but those allowed, no error of a script, no failed
  // request, no status from 400, no answer from another release.
  async assertWhole() {
    await Promise.all(this.tabs.filter((tab) => !tab.page.isClosed()).map((tab) => tab.settled()));
    const trouble = this.trouble.filter((line) => !this.allowed.some((pattern) => pattern.test(line)));
    assert.deepEqual(trouble, [], 'trouble in the browser');
  }
}

export class Tab {
  constructor(page, visitor) {
    this.page = page;
    this.visitor = visitor;
    // Answers since the last document: {path, status, release, reason, stale, hint, mixed}.
    this.answers = [];
    // Answers to loads of the tab itself, redirects too, since it was opened.
    this.loads = [];
    this.release = undefined;
    this.pending = new Set();
    // Requests that have neither come to their end nor failed. Streams have no end to wait for.
    this.underWay = new Set();
    const say = (line) => visitor.trouble.push(line);
    page.on('console', (message) => {
      if (['error', 'warning', 'assert'].includes(message.type())) {
        const { url } = message.location();
        say(`console ${message.type()}: ${message.text()}${url ? ` (${url})` : ''}`);
      }
    });
    page.on('pageerror', (error) => say(`script error: ${error.message}`));
    page.on('request', (request) => {
      if (request.resourceType() !== 'eventsource') this.underWay.add(request);
    });
    page.on('requestfinished', (request) => this.underWay.delete(request));
    page.on('requestfailed', (request) => {
      this.underWay.delete(request);
      const why = request.failure()?.errorText;
      // A page that closes its event stream, or leaves while it is open, aborts it: that is how it ends.
      if (request.resourceType() === 'eventsource' && why === 'net::ERR_ABORTED') return;
      say(`request failed: ${request.method()} ${request.url()}: ${why}`);
    });
    page.on('response', (response) => {
      const work = this.#note(response).catch((error) => say(`cannot read an answer: ${error.message}`));
      this.pending.add(work);
      work.finally(() => this.pending.delete(work));
    });
  }

  async #note(response) {
    const request = response.request();
    const url = new URL(response.url());
    if (url.origin !== this.visitor.cutover.url) {
      this.visitor.trouble.push(`left for ${url.origin}`);
      return;
    }
    const headers = response.headers();
    const answer = {
      path: url.pathname,
      status: response.status(),
      release: headers['x-cutover-release'],
      reason: headers['x-cutover-reason'],
      stale: headers['x-cutover-stale'] === '1',
      fromWorker: response.fromServiceWorker(),
      hint: request.headers()['x-cutover-release'],
    };
    const document = request.isNavigationRequest() && request.frame() === this.page.mainFrame();
    if (document) {
      this.loads.push(answer);
      this.answers = [];
      if (answer.status < 300 || answer.status >= 400) this.release = answer.release;
    }
    this.answers.push(answer);
    if (answer.status >= 400) this.visitor.trouble.push(`${answer.status} for ${request.method()} ${url.pathname}`);
    const named = /^\/assets\//.test(url.pathname) || url.pathname.startsWith('/.cutover/');
    // A service worker answers from what it kept, under whatever release it was kept.
    if (document || named || answer.stale || answer.fromWorker) return;
    if (answer.release !== this.release) {
      this.visitor.trouble.push(`mixed: ${url.pathname} from ${answer.release} in a page of ${this.release}`);
    }
  }

  // Waits until nothing is being loaded. A page that is left earlier fails the requests it has open.
  async settled() {
    await until('the page has loaded what it wanted', async () => {
      const before = this.answers.length;
      await this.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 30)));
      return this.underWay.size === 0 && this.pending.size === 0 && this.answers.length === before;
    });
  }

  // Loads an address as typing it does.
  async open(path) {
    await this.settled();
    const response = await this.page.goto(path);
    await this.ready();
    return response;
  }

  async reload() {
    await this.settled();
    const response = await this.page.reload();
    await this.ready();
    return response;
  }

  // Ends a preview.
  async leave() {
    await this.settled();
    await this.page.goto('/.cutover/leave');
    await this.settled();
  }

  // Waits until the shop shows the page that the address names.
  async ready() {
    await this.page.waitForFunction(() => {
      const main = document.querySelector('#main');
      return main?.dataset.path === location.pathname && !main.hasAttribute('aria-busy');
    });
    await this.settled();
  }

  // Goes to another page of the shop by a link, without a load.
  async follow(href) {
    const marked = await this.page.evaluate(() => (window.sameDocument = Math.random()));
    await this.page.locator(`a[href="${href}"]`).first().click();
    await this.page.waitForURL((url) => url.pathname === href);
    await this.ready();
    assert.equal(await this.page.evaluate(() => window.sameDocument), marked, `${href} was reached by a load`);
  }

  // What the page says it is: the key of the variant, and the release of its `meta`.
  async shows() {
    return {
      variant: await this.page.evaluate(() => document.documentElement.dataset.release),
      release: await this.page.evaluate(() => document.querySelector('meta[name="cutover-release"]')?.content),
      title: await this.page.locator('#release').textContent(),
    };
  }

  async assertShows(variant, release) {
    const shown = await this.shows();
    assert.equal(shown.variant, variant);
    assert.equal(shown.release, release);
    assert.equal(shown.title, { one: 'Release one', two: 'Release two', bad: 'Release three' }[variant]);
  }

  // Fetches as the page's own scripts do, and returns what came back.
  fetch(path, options = {}) {
    return this.page.evaluate(
      async ([path, options]) => {
        const response = await fetch(path, options);
        return {
          status: response.status,
          release: response.headers.get('x-cutover-release'),
          reason: response.headers.get('x-cutover-reason'),
          stale: response.headers.get('x-cutover-stale'),
          body: await response.json().catch(() => null),
        };
      },
      [path, options],
    );
  }

  // Answers for paths that match, since the last document.
  answered(pattern) {
    return this.answers.filter(({ path }) => pattern.test(path));
  }

  screenshot(path) {
    return this.page.screenshot({ path, fullPage: true });
  }
}
