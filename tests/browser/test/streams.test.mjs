// Connections that stay open: event streams and WebSockets, through the edge and across a switch.

import assert from 'node:assert/strict';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { builds } from '../harness/builds.mjs';
import { Cutover } from '../harness/cutover.mjs';
import { closeBrowser, Visitor } from '../harness/visitor.mjs';

after(closeBrowser);

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url));

// Adds a second service, run by node, to the shop.
async function withEcho(text, dir) {
  await mkdir(join(dir, 'echo'), { recursive: true });
  await cp(join(fixtures, 'echo.mjs'), join(dir, 'echo', 'echo.mjs'));
  return `${text}
[[service]]
name = "echo"
routes = ["/echo"]
dir = "echo"
run = ${JSON.stringify(`${process.execPath} echo.mjs`)}
health = "/healthz"
`;
}

test('an event stream opened before the switch goes on to its end', async (t) => {
  const cutover = await Cutover.start(t, { build: builds[0] });
  const blue = await cutover.active();
  const green = await cutover.stage('two');
  const ada = await Visitor.arrive(cutover);
  const tab = await ada.tab('/');
  const stream = tab.page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const steps = [];
        const source = new EventSource('/api/events?order=1');
        source.addEventListener('progress', (event) => {
          steps.push(JSON.parse(event.data).step);
          document.documentElement.dataset.steps = String(steps.length);
          if (steps.length === 4) {
            source.close();
            resolve(steps);
          }
        });
        source.onerror = () => reject(new Error('the stream was cut'));
      }),
  );
  await tab.page.waitForFunction(() => document.documentElement.dataset.steps);
  await cutover.verb('promote', green);
  assert.deepEqual(await stream, [0, 1, 2, 3]);
  await tab.assertShows('one', blue);
  await ada.assertWhole();
});

test('a WebSocket opened before the switch stays on blue; one opened after it follows the pin', async (t) => {
  const cutover = await Cutover.start(t, { build: builds[0], change: withEcho });
  const blue = await cutover.active();
  const green = await cutover.stage('two');
  const ada = await Visitor.arrive(cutover);
  const old = await ada.tab('/');
  const connect = (tab) =>
    tab.page.evaluate(
      () =>
        new Promise((resolve, reject) => {
          window.socket = new WebSocket(`ws://${location.host}/echo`);
          window.socket.onmessage = ({ data }) => resolve(data);
          window.socket.onerror = () => reject(new Error('no socket'));
        }),
    );
  const echo = (tab, text) =>
    tab.page.evaluate(
      (text) =>
        new Promise((resolve, reject) => {
          window.socket.onmessage = ({ data }) => resolve(data);
          window.socket.onclose = () => reject(new Error('closed'));
          window.socket.send(text);
        }),
      text,
    );
  assert.equal(await connect(old), `release ${blue}`);
  await cutover.verb('promote', green);
  assert.equal(await echo(old, 'still here'), 'still here');
  const young = await ada.tab('/');
  assert.equal(await connect(young), `release ${green}`);
  assert.equal(await echo(young, 'hello'), 'hello');
  assert.equal(await echo(old, 'ünd jetzt'), 'ünd jetzt');
  await ada.assertWhole();
});

test('a long call begun on blue before the switch is answered by blue', async (t) => {
  const cutover = await Cutover.start(t, { build: builds[0] });
  const blue = await cutover.active();
  const green = await cutover.stage('two');
  const ada = await Visitor.arrive(cutover);
  const tab = await ada.tab('/');
  const asked = tab.page.waitForRequest('**/api/slow**');
  const slow = tab.fetch('/api/slow?ms=4000');
  await asked;
  await cutover.verb('promote', green);
  const answer = await slow;
  assert.deepEqual([answer.status, answer.release, answer.body.release], [200, blue, blue]);
  await ada.assertWhole();
});
