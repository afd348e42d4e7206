// A visitor who is in the shop while the next release is promoted.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { builds } from '../harness/builds.mjs';
import { Cutover } from '../harness/cutover.mjs';
import { closeBrowser, Visitor } from '../harness/visitor.mjs';

after(closeBrowser);

for (const build of builds) {
  test(`${build}: an open page stays whole on blue after the switch, and a reload shows green`, async (t) => {
    const cutover = await Cutover.start(t, { build });
    const blue = await cutover.active();
    const green = await cutover.stage('two');
    const ada = await Visitor.arrive(cutover);
    const tab = await ada.tab('/');
    await tab.assertShows('one', blue);
    assert.equal(await ada.pin(), blue);

    const { from, to, changed } = await cutover.verb('promote', green);
    assert.deepEqual({ from, to, changed }, { from: blue, to: green, changed: true });

    // Chunks of blue that this page never asked for before.
    const known = new Set(tab.answers.map(({ path }) => path));
    await tab.follow('/product/mug');
    const chunks = tab.answered(/^\/assets\/.*\.js$/).filter(({ path }) => !known.has(path));
    assert.ok(chunks.length > 0, 'the page loaded a chunk after the switch');
    for (const chunk of chunks) assert.equal(chunk.status, 200, chunk.path);

    await tab.page.getByRole('button', { name: 'Put into basket' }).click();
    await tab.page.getByText('In your basket.').waitFor();
    await tab.follow('/cart');
    assert.match(await tab.page.locator('.total').textContent(), /€24\.90/);
    await tab.assertShows('one', blue);
    assert.ok(tab.answered(/^\/api\//).length >= 4);
    for (const answer of tab.answered(/^\/api\//)) assert.equal(answer.release, blue, answer.path);

    await tab.reload();
    await tab.assertShows('two', green);
    assert.equal(await ada.pin(), green);
    assert.match(await tab.page.locator('.total').textContent(), /€24\.90/, 'the basket came along');
    await tab.follow('/favourites');
    await ada.assertWhole();
  });

  test(`${build}: the back button after the switch shows whole pages`, async (t) => {
    const cutover = await Cutover.start(t, { build });
    const blue = await cutover.active();
    const green = await cutover.stage('two');
    const ada = await Visitor.arrive(cutover);
    const tab = await ada.tab('/');
    await tab.follow('/product/mug');
    await cutover.verb('promote', green);

    // Back inside the document that is open.
    await tab.page.goBack();
    await tab.ready();
    await tab.assertShows('one', blue);
    await tab.follow('/product/lamp');

    // A load shows green; going back over it may show what the browser kept of blue, or green, but never half of each.
    await tab.open('/account');
    await tab.assertShows('two', green);
    await tab.page.goBack();
    await tab.ready();
    const shown = await tab.shows();
    assert.equal(shown.release, tab.release);
    assert.equal(shown.variant, shown.release === blue ? 'one' : 'two');
    await tab.follow('/cart');
    await tab.page.goForward();
    await tab.ready();
    await tab.reload();
    await tab.assertShows('two', green);
    await ada.assertWhole();
  });
}

test('a link opened after the switch leads into green, whole, while the page it came from stays blue', async (t) => {
  const cutover = await Cutover.start(t, { build: builds[0] });
  const blue = await cutover.active();
  const green = await cutover.stage('two');
  const ada = await Visitor.arrive(cutover);
  const first = await ada.tab('/');
  await cutover.verb('promote', green);
  const second = await ada.tab();
  await second.open('/product/clock');
  await second.assertShows('two', green);
  await first.follow('/product/clock');
  await first.assertShows('one', blue);
  await ada.assertWhole();
});

test('an open page is told that another release is out, and loads it when the visitor says so', async (t) => {
  const cutover = await Cutover.start(t, { build: builds[0] });
  const blue = await cutover.active();
  const green = await cutover.stage('two');
  const ada = await Visitor.arrive(cutover, { viewport: { width: 360, height: 740 } });
  const tab = await ada.tab('/product/mug');
  // What the browser does when the tab comes back to the front.
  const comeBack = () => tab.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  const news = tab.page.getByText('The shop has changed.');
  await comeBack();
  await tab.settled();
  assert.equal(await news.count(), 0, 'nothing has changed yet');

  await cutover.verb('promote', green);
  await comeBack();
  await news.waitFor();
  await tab.assertShows('one', blue);
  await tab.page.getByRole('button', { name: 'Show me' }).click();
  await tab.page.waitForFunction(() => document.documentElement.dataset.release === 'two');
  await tab.ready();
  await tab.assertShows('two', green);
  await ada.assertWhole();
});

test('a deep link to a page of green is a page of its own on blue, not a broken one', async (t) => {
  const cutover = await Cutover.start(t, { build: builds[0] });
  const ada = await Visitor.arrive(cutover);
  const tab = await ada.tab('/favourites');
  await tab.page.getByRole('heading', { name: 'There is no such page' }).waitFor();
  await ada.assertWhole();
});
