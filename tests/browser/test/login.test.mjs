// A login that leads away from the shop and back, with a switch while the visitor is away.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { builds } from '../harness/builds.mjs';
import { Cutover } from '../harness/cutover.mjs';
import { closeBrowser, Visitor } from '../harness/visitor.mjs';

after(closeBrowser);

for (const build of builds) {
  test(`${build}: a login begun on blue is completed by blue and lands on green`, async (t) => {
    const cutover = await Cutover.start(t, { build });
    const blue = await cutover.active();
    const green = await cutover.stage('two');
    const ada = await Visitor.arrive(cutover);
    const tab = await ada.tab('/product/mug');
    await tab.page.getByRole('button', { name: 'Put into basket' }).click();
    await tab.page.getByText('In your basket.').waitFor();
    await tab.follow('/cart');
    await tab.follow('/checkout');
    await tab.page.getByRole('link', { name: 'Log in to order' }).click();
    await tab.page.getByRole('heading', { name: 'Example identity' }).waitFor();

    await cutover.verb('promote', green);

    await tab.page.getByRole('button', { name: 'Continue' }).click();
    await tab.page.waitForURL('**/checkout');
    await tab.ready();
    const callback = tab.loads.find(({ path }) => path === '/callback');
    assert.deepEqual([callback.status, callback.release], [303, blue]);
    await tab.assertShows('two', green);

    // The order is placed on green, of the basket that was filled on blue.
    await tab.page.getByText('Ordering as Ada.').waitFor();
    await tab.page.getByRole('button', { name: 'Order for €24.90' }).click();
    await tab.page.getByText('It has arrived.').waitFor();
    await ada.assertWhole();
  });
}
