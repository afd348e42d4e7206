// When there is nothing to serve, or what serves dies.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, test } from 'node:test';

import { builds } from '../harness/builds.mjs';
import { Cutover, until } from '../harness/cutover.mjs';
import { closeBrowser, Visitor } from '../harness/visitor.mjs';

after(closeBrowser);

test('before the first release a visitor is told so, and after it a load shows the shop', async (t) => {
  const cutover = await Cutover.start(t, { build: builds[0], deploy: false });
  const ada = await Visitor.arrive(cutover);
  ada.allow(/^503 for GET \/$/);
  ada.allow(/^console error: Failed to load resource: .* 503/);
  const tab = await ada.tab();
  const empty = await tab.page.goto('/');
  assert.equal(empty.status(), 503);
  assert.equal(empty.headers()['cache-control'], 'no-store');
  assert.match(await tab.page.locator('body').innerText(), /release/i);
  assert.equal(await ada.pin(), undefined, 'an error pins nobody');

  const blue = await cutover.deploy('one');
  await tab.reload();
  await tab.assertShows('one', blue);
  assert.equal(await ada.pin(), blue);
  await ada.assertWhole();
});

test('a service that dies is started again, and the open page goes on with the same release', async (t) => {
  const cutover = await Cutover.start(t, { build: builds[0] });
  const blue = await cutover.active();
  const ada = await Visitor.arrive(cutover);
  const tab = await ada.tab('/');
  const component = async () => {
    const { releases } = await cutover.verb('status');
    return releases.find(({ id }) => id === blue).components.find(({ name }) => name === 'api');
  };
  const { pid } = await component();
  process.kill(pid, 'SIGKILL');

  // Until it is back, calls may fail; they never go anywhere else.
  ada.allow(/^50[234] for GET \/api\/version$/);
  ada.allow(/^console error: Failed to load resource: .* 50[234]/);
  await until('another process answers', async () => {
    const now = await component();
    const call = await tab.fetch('/api/version');
    assert.equal(call.release, blue);
    return now.health === 'healthy' && now.pid !== pid && call.status === 200;
  });
  assert.equal((await component()).restarts, 1);
  await tab.follow('/product/mug');
  await tab.page.getByRole('button', { name: 'Put into basket' }).click();
  await tab.page.getByText('In your basket.').waitFor();
  await tab.assertShows('one', blue);
  await ada.assertWhole();
});

test('when nothing can serve, visitors see the outage page in the words of the configuration', async (t) => {
  // An app that somebody else runs: one server, which goes away and comes back.
  let port = 0;
  const server = async () => {
    const running = createServer((request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<!doctype html><link rel="icon" href="data:,"><title>Web</title><h1>All is well</h1>');
    }).listen(port, '127.0.0.1');
    await once(running, 'listening');
    ({ port } = running.address());
    t.after(() => running.close());
    return running;
  };
  const web = await server();
  const change = (text) => `app = "web"
host = "127.0.0.1"

[[service]]
name = "web"
routes = ["/*"]
upstream = { blue = "http://127.0.0.1:${port}", green = "http://127.0.0.1:9" }
health = "/"

${/\[edge\][^[]*/.exec(text)[0]}
[outage]
message = "We are moving house & back at noon."
`;
  const cutover = await Cutover.start(t, { build: 'builtin', change });
  const ada = await Visitor.arrive(cutover);
  const tab = await ada.tab();
  const status = async () => (await tab.page.goto('/')).status();
  assert.equal(await status(), 200);

  web.close();
  web.closeAllConnections();
  ada.allow(/^50[23] for GET \//);
  ada.allow(/^console error: Failed to load resource: .* 50[23]/);
  let down;
  await until('the outage page is shown', async () => {
    down = await tab.page.goto('/');
    return (await tab.page.locator('body').innerText()).includes('We are moving house & back at noon.');
  });
  assert.equal(down.status(), 503);
  assert.equal(down.headers()['cache-control'], 'no-store');
  assert.match(down.headers()['retry-after'], /^\d+$/);

  await server();
  await until('the app is shown again', async () => (await status()) === 200);
  await tab.page.getByRole('heading', { name: 'All is well' }).waitFor();
  await ada.assertWhole();
});
