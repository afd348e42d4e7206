// A preview shows one release to whoever holds its link, on the address everybody uses.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { builds } from '../harness/builds.mjs';
import { Cutover } from '../harness/cutover.mjs';
import { closeBrowser, Visitor } from '../harness/visitor.mjs';

after(closeBrowser);

for (const build of builds) {
  test(`${build}: a preview holds through reload, promotion and rollback until it is left`, async (t) => {
    const cutover = await Cutover.start(t, { build });
    const blue = await cutover.active();
    const green = await cutover.stage('two');
    const tester = await Visitor.arrive(cutover);
    const bystander = await Visitor.arrive(cutover);

    const { url } = await cutover.verb('preview', green);
    assert.equal(new URL(url).origin, cutover.url);
    const preview = await tester.tab();
    const document = await preview.open(url);
    assert.equal(preview.page.url(), `${cutover.url}/`, 'the token is gone from the address');
    assert.equal(document.headers()['cache-control'], 'no-store');
    assert.match(document.headers()['x-robots-tag'] ?? '', /noindex/);
    await preview.assertShows('two', green);
    const normal = await bystander.tab('/');
    await normal.assertShows('one', blue);

    await preview.follow('/product/mug');
    await preview.reload();
    await preview.assertShows('two', green);

    await cutover.verb('promote', green);
    await preview.reload();
    await preview.assertShows('two', green);
    await normal.reload();
    await normal.assertShows('two', green);

    await cutover.verb('rollback');
    await preview.reload();
    await preview.assertShows('two', green);
    await preview.follow('/favourites');
    await normal.reload();
    await normal.assertShows('one', blue);
    assert.equal(await tester.pin(), undefined, 'a preview leaves the pin alone');

    await preview.leave();
    await preview.open('/');
    await preview.assertShows('one', blue);
    assert.equal(await tester.pin(), blue);
    await tester.assertWhole();
    await bystander.assertWhole();
  });
}

test('the release that serves everybody can be previewed too, and stays after the switch', async (t) => {
  const cutover = await Cutover.start(t, { build: builds[0] });
  const blue = await cutover.active();
  const green = await cutover.stage('two');
  const tester = await Visitor.arrive(cutover);
  const tab = await tester.tab((await cutover.verb('preview', blue)).url);
  await cutover.verb('promote', green);
  await tab.reload();
  await tab.assertShows('one', blue);
  await tester.assertWhole();
});

test('a link that nobody signed shows a page that refuses it and changes nothing', async (t) => {
  const cutover = await Cutover.start(t, { build: builds[0] });
  const blue = await cutover.active();
  const green = await cutover.stage('two');
  const { url } = await cutover.verb('preview', green);
  const forged = new URL(url);
  const token = forged.searchParams.get('token');
  forged.searchParams.set('token', token.slice(0, -2) + (token.endsWith('AA') ? 'BB' : 'AA'));
  const tester = await Visitor.arrive(cutover);
  tester.allow(/^403 for GET \/\.cutover\/preview$/);
  tester.allow(/^console error: Failed to load resource: .* 403/);
  const tab = await tester.tab();
  const refused = await tab.page.goto(forged.href);
  assert.equal(refused.status(), 403);
  assert.equal(await tester.cookie('cutover-preview'), undefined);
  await tab.open('/');
  await tab.assertShows('one', blue);
  await tester.assertWhole();
});

test('a preview of a withdrawn release says so', async (t) => {
  const cutover = await Cutover.start(t, { build: builds[0] });
  const blue = await cutover.active();
  const green = await cutover.stage('two');
  const tester = await Visitor.arrive(cutover);
  const tab = await tester.tab((await cutover.verb('preview', green)).url);
  await tab.assertShows('two', green);
  await cutover.verb('withdraw', green, '--yes');
  tester.allow(/^410 for GET \/$/);
  tester.allow(/^console error: Failed to load resource: .* 410/);
  await tab.settled();
  const ended = await tab.page.reload();
  assert.ok([200, 410].includes(ended.status()), String(ended.status()));
  assert.match(await tab.page.locator('body').innerText(), /withdrawn|preview/i);
  assert.equal(await tab.page.locator('#release').count(), 0, 'no shop is shown');
  await tab.leave();
  await tab.open('/');
  await tab.assertShows('one', blue);
  await tester.assertWhole();
});
