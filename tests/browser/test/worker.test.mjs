// A shop with a service worker that answers every load from its cache: the network, and with it the edge, is not asked
// for documents any more. It must follow a switch and a rollback all the same.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { builds } from '../harness/builds.mjs';
import { Cutover, until } from '../harness/cutover.mjs';
import { closeBrowser, Visitor } from '../harness/visitor.mjs';

after(closeBrowser);

const caches = (tab) => tab.page.evaluate(() => window.caches.keys());

// The worker of the newest build is in charge and the older one's cache is gone.
async function settles(tab, before) {
  await until('the service worker has changed', async () => {
    const calm = await tab.page.evaluate(async () => {
      const { active, installing, waiting } = (await navigator.serviceWorker.getRegistration()) ?? {};
      return active?.state === 'activated' && !installing && !waiting;
    });
    const now = await caches(tab);
    return calm && now.length === 1 && !before.includes(now[0]);
  });
}

for (const build of builds) {
  test(`${build}: a cache-first service worker follows the switch and the rollback`, async (t) => {
    const cutover = await Cutover.start(t, { build, worker: true });
    const blue = await cutover.active();
    const green = await cutover.stage('two');
    const ada = await Visitor.arrive(cutover);
    const tab = await ada.tab('/');
    await settles(tab, []);
    const response = await tab.reload();
    assert.ok(response.fromServiceWorker(), 'the document comes from the worker');
    await tab.assertShows('one', blue);

    await cutover.verb('promote', green);
    let before = await caches(tab);
    // Cache first: this load is still blue's, and whole. It is also when the browser looks for another worker.
    await tab.reload();
    await tab.assertShows('one', blue);
    await tab.follow('/product/mug');
    await settles(tab, before);
    // The cache of blue is gone; what this page still needs of blue comes from the edge.
    await tab.follow('/account');
    await tab.assertShows('one', blue);

    await tab.reload();
    await tab.assertShows('two', green);
    assert.equal(await ada.pin(), green);
    await tab.follow('/favourites');
    await tab.follow('/');

    await cutover.verb('rollback');
    before = await caches(tab);
    await tab.reload();
    await settles(tab, before);
    await tab.reload();
    await tab.assertShows('one', blue);
    await tab.follow('/product/clock');
    await ada.assertWhole();
  });
}
