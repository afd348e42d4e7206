// Going back, gently and at once.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { builds } from '../harness/builds.mjs';
import { Cutover } from '../harness/cutover.mjs';
import { closeBrowser, Visitor } from '../harness/visitor.mjs';

after(closeBrowser);

// A visitor on green, which has just been promoted.
async function onGreen(t, build, variant = 'two') {
  const cutover = await Cutover.start(t, { build });
  const blue = await cutover.active();
  const green = await cutover.stage(variant);
  await cutover.verb('promote', green);
  const ada = await Visitor.arrive(cutover);
  return { cutover, blue, green, ada };
}

for (const build of builds) {
  test(`${build}: after a rollback an open page stays whole on green, and the next load is blue`, async (t) => {
    const { cutover, blue, green, ada } = await onGreen(t, build);
    const tab = await ada.tab('/');
    await tab.assertShows('two', green);
    const { from, to } = await cutover.verb('rollback');
    assert.deepEqual({ from, to }, { from: green, to: blue });

    await tab.follow('/product/mug');
    await tab.follow('/favourites');
    await tab.follow('/cart');
    await tab.assertShows('two', green);
    for (const call of tab.answered(/^\/api\//)) assert.equal(call.release, green, call.path);

    await tab.reload();
    await tab.assertShows('one', blue);
    assert.equal(await ada.pin(), blue);
    await tab.follow('/');
    await tab.follow('/product/mug');
    const again = await cutover.verb('rollback').catch((error) => error);
    assert.equal(again.changed ?? false, false, 'a second rollback has nothing to do');
    await ada.assertWhole();
  });
}

test('a rollback at once answers open pages from blue, says so, and the next load is blue', async (t) => {
  const { cutover, blue, green, ada } = await onGreen(t, builds[0]);
  const tab = await ada.tab('/');
  await cutover.verb('rollback', '--now');

  const call = await tab.fetch('/api/version');
  assert.deepEqual([call.status, call.release, call.stale, call.body.shape], [200, blue, '1', 1]);
  assert.equal(await ada.pin(), green, 'a call does not move the pin');

  // The page notices that the answer is not for it, and offers the way out.
  ada.allow(/^console error: ApiError: this page reads answers of shape 2 and got shape 1/);
  // Its route's chunk was part of green, which serves nobody any more: it may be gone.
  ada.allow(/^console error: .*(TypeError|ChunkLoadError|404)/);
  ada.allow(/^404 for GET \/assets\//);
  ada.allow(/^request failed: GET .*\/assets\/.*\.js: net::ERR_ABORTED/);
  await tab.page.locator('a[href="/product/mug"]').first().click();
  await tab.page.getByRole('alert').waitFor();
  await tab.page.getByRole('button', { name: 'Load again' }).click();
  await tab.page.getByRole('heading', { name: 'Morning mug' }).waitFor();
  await tab.ready();
  await tab.assertShows('one', blue);
  assert.equal(await ada.pin(), blue);
  await tab.follow('/cart');
  await ada.assertWhole();
});

test('withdrawing the active release moves everybody and bars it', async (t) => {
  const { cutover, blue, green, ada } = await onGreen(t, builds[0]);
  const tab = await ada.tab('/account');
  await tab.assertShows('two', green);
  await cutover.verb('withdraw', green, '--yes');
  assert.equal(await cutover.active(), blue);
  const call = await tab.fetch('/api/version');
  assert.deepEqual([call.release, call.stale], [blue, '1']);
  await tab.reload();
  await tab.assertShows('one', blue);
  await tab.follow('/');
  await assert.rejects(cutover.verb('promote', green), /withdrawn/);
  assert.equal(await cutover.active(), blue);
  await ada.assertWhole();
});

test('a bad release shows its errors, and a rollback ends them', async (t) => {
  const { cutover, blue, green, ada } = await onGreen(t, builds[0], 'bad');
  ada.allow(/^500 for GET \/api\//);
  ada.allow(/^console error: (ApiError: the till is jammed|Failed to load resource: .* 500)/);
  const tab = await ada.tab('/');
  await tab.assertShows('bad', green);
  const statuses = [];
  for (let call = 0; call < 8; call += 1) statuses.push((await tab.fetch('/api/products')).status);
  assert.equal(statuses.filter((status) => status === 500).length, 2, statuses.join(' '));

  await cutover.verb('rollback', '--now');
  await tab.reload();
  await tab.assertShows('one', blue);
  await tab.settled();
  const errors = ada.trouble.length;
  for (const path of ['/product/mug', '/cart', '/account', '/']) await tab.follow(path);
  assert.deepEqual(ada.trouble.slice(errors), []);
  await ada.assertWhole();
});
