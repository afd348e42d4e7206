// Two tabs of one browser share their cookies, and yet each stays with the release its page came from.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { builds } from '../harness/builds.mjs';
import { Cutover } from '../harness/cutover.mjs';
import { closeBrowser, Visitor } from '../harness/visitor.mjs';

after(closeBrowser);

for (const build of builds) {
  test(`${build}: two tabs on two releases stay whole`, async (t) => {
    const cutover = await Cutover.start(t, { build });
    const blue = await cutover.active();
    const green = await cutover.stage('two');
    const ada = await Visitor.arrive(cutover);
    const old = await ada.tab('/');
    await cutover.verb('promote', green);
    const young = await ada.tab('/');
    await young.assertShows('two', green);
    assert.equal(await ada.pin(), green, 'both tabs now carry the pin of green');

    for (const path of ['/product/mug', '/cart', '/account', '/']) {
      await Promise.all([old.follow(path), young.follow(path)]);
    }
    await old.assertShows('one', blue);
    await young.assertShows('two', green);
    for (const [tab, release] of [[old, blue], [young, green]]) {
      const calls = tab.answered(/^\/api\//);
      assert.ok(calls.length >= 5, `${calls.length} calls`);
      for (const call of calls) {
        assert.equal(call.release, release, call.path);
        assert.equal(call.hint, release, `${call.path} says which release its page is of`);
      }
    }

    // A basket filled in one is seen in the other.
    await old.follow('/product/teapot');
    await old.page.getByRole('button', { name: 'Put into basket' }).click();
    await old.page.getByText('In your basket.').waitFor();
    await young.follow('/cart');
    await young.page.getByRole('link', { name: 'Round teapot' }).waitFor();
    await ada.assertWhole();
  });
}

test('the script that keeps tabs apart works under the strictest policy without a word on the console', async (t) => {
  const cutover = await Cutover.start(t, { build: builds[0] });
  const ada = await Visitor.arrive(cutover);
  const tab = await ada.tab('/');
  const policy = await tab.page.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute('content');
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.equal(tab.answered(/^\/\.cutover\/visit\.js$/)[0]?.status, 200);
  const release = await cutover.active();
  assert.equal(tab.answered(/^\/api\/products$/)[0].hint, release);

  // XMLHttpRequest and a Request object carry the hint too; other origins never get it.
  const seen = [];
  tab.page.on('request', (request) => seen.push([request.url(), request.headers()['x-cutover-release']]));
  await tab.page.evaluate(async () => {
    await (await fetch(new Request('/api/version?request'))).text();
    await new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open('GET', '/api/version?xhr');
      request.onload = resolve;
      request.onerror = reject;
      request.send();
    });
  });
  assert.deepEqual(seen, [
    [`${cutover.url}/api/version?request`, release],
    [`${cutover.url}/api/version?xhr`, release],
  ]);
  await ada.assertWhole();
});
