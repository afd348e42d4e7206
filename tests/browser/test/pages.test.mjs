// The shop itself: every page of both releases, on a phone and on a desk, for everybody.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { builds } from '../harness/builds.mjs';
import { Cutover } from '../harness/cutover.mjs';
import { closeBrowser, Visitor } from '../harness/visitor.mjs';

after(closeBrowser);

// `SHOP_SCREENSHOTS=dir` keeps a picture of every page.
const pictures = process.env.SHOP_SCREENSHOTS;

// What keeps some people out, as far as a script can tell.
function barriers() {
  const found = [];
  const named = (element) =>
    element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length || element.alt;
  for (const element of document.querySelectorAll('a, button, input:not([type=hidden])')) {
    if (!named(element)) found.push(`without a name: ${element.outerHTML}`);
  }
  for (const image of document.querySelectorAll('img')) {
    if (!image.hasAttribute('alt')) found.push(`without alt: ${image.src}`);
    if (!image.complete || image.naturalWidth === 0) found.push(`not shown: ${image.src}`);
  }
  if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
  if (!document.documentElement.lang) found.push('no language');
  const excess = document.documentElement.scrollWidth - innerWidth;
  if (excess > 0) found.push(`${excess} px wider than the screen`);
  return found;
}

for (const variant of ['one', 'two']) {
  test(`every page of release ${variant} fits a phone and a desk and has no barriers`, async (t) => {
    const cutover = await Cutover.start(t, { build: builds[0], variant });
    for (const width of [360, 1440]) {
      const ada = await Visitor.arrive(cutover, { viewport: { width, height: 800 } });
      const tab = await ada.tab('/');
      const look = async (name) => {
        await tab.settled();
        assert.deepEqual(await tab.page.evaluate(barriers), [], `${name} at ${width} px`);
        if (!pictures) return;
        await mkdir(pictures, { recursive: true });
        await tab.screenshot(join(pictures, `${variant}-${name}-${width}.png`));
      };
      await look('catalogue');
      if (variant === 'two') {
        await tab.page.getByRole('button', { name: 'Kitchen' }).click();
        assert.equal(await tab.page.locator('.card').count(), 2);
        await tab.page.getByRole('button', { name: 'Favourite: Morning mug' }).click();
        await tab.follow('/favourites');
        await look('favourites');
      }
      await tab.follow('/cart');
      await look('empty');
      await tab.follow('/');
      await tab.follow('/product/mug');
      await look('product');
      await tab.page.getByRole('button', { name: 'Put into basket' }).click();
      await tab.page.getByText('In your basket.').waitFor();
      await tab.follow('/cart');
      await look('basket');
      await tab.page.getByLabel('Quantity of Morning mug').fill('3');
      await tab.page.getByLabel('Quantity of Morning mug').blur();
      await tab.page.locator('.total', { hasText: '€74.70' }).waitFor();
      await tab.follow('/checkout');
      await look('checkout');
      await tab.page.getByRole('link', { name: 'Log in to order' }).click();
      await look('identity');
      await tab.page.getByRole('button', { name: 'Continue' }).click();
      await tab.page.getByRole('button', { name: 'Order for €74.70' }).click();
      await tab.page.getByText('It has arrived.').waitFor();
      await look('order');
      await tab.follow('/account');
      await look('account');
      await tab.page.getByRole('button', { name: 'Log out' }).click();
      await tab.page.getByRole('link', { name: 'Log in' }).waitFor();
      await ada.assertWhole();
    }
  });
}
