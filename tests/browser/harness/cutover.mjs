// A real `cutover up` with a state directory of its own, and the verbs against it.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { binary } from './binary.mjs';
import { writeRelease } from './builds.mjs';

// Long enough for a debug build on a busy machine; nothing waits for it unless something is wrong.
const PATIENCE_MS = 60_000;

export class Cutover {
  // Starts `up` for a build of the shop and, unless told otherwise, deploys a first release of it. Ends with the test.
  static async start(t, { build, variant = 'one', worker = false, deploy = true, change }) {
    const dir = await mkdtemp(join(tmpdir(), 'cutover-browser-'));
    for (let attempt = 1; ; attempt += 1) {
      const cutover = new Cutover(dir, build, worker, change, await freePort(), await freePort());
      try {
        await cutover.#up(variant);
        t.after(() => cutover.#end());
        if (deploy) await cutover.deploy(variant);
        return cutover;
      } catch (error) {
        await cutover.#stop();
        // Between finding a port free and listening on it, somebody else may have taken it.
        if (attempt < 3 && /in use|taken/i.test(error.message)) continue;
        await rm(dir, { recursive: true, force: true });
        throw error;
      }
    }
  }

  constructor(dir, build, worker, change, port, controlPort) {
    Object.assign(this, { dir, build, worker, change, log: '', contexts: [] });
    this.listen = `127.0.0.1:${port}`;
    this.control = `127.0.0.1:${controlPort}`;
    this.url = `http://${this.listen}`;
    this.state = join(dir, 'state');
  }

  // Writes a release of the shop and returns its description.
  write(variant) {
    const { build, worker, listen, control, change } = this;
    return writeRelease(join(this.dir, variant), { build, variant, worker, listen, control, change });
  }

  async #up(variant) {
    const config = await this.write(variant);
    this.config = config;
    this.process = spawn(binary(), ['up', '--config', config, '--state', this.state, '--no-color'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.on('data', (piece) => (this.log += piece));
    }
    await until('cutover up answers', async () => {
      if (this.process.exitCode !== null) throw new Stop(`cutover up ended with ${this.process.exitCode}:\n${this.log}`);
      const { status } = await fetch(`${this.url}/.cutover/health`);
      return status === 200;
    });
    // The edge may answer before the control API does.
    await until('the control API answers', async () => (await this.verb('status')).url.length > 0);
  }

  // Runs a verb and returns what it says as JSON. Throws where its exit code is not 0.
  verb(name, ...args) {
    const words = [name, '--state', this.state, '--output', 'json'];
    if (!args.includes('--config')) words.push('--config', this.config);
    return new Promise((resolve, reject) => {
      execFile(binary(), [...words, ...args], { timeout: PATIENCE_MS }, (error, stdout, stderr) => {
        if (error) {
          reject(new Error(`cutover ${name} ${args.join(' ')} ended with ${error.code}:\n${stderr}${stdout}\n${this.log}`));
        } else {
          resolve(JSON.parse(stdout));
        }
      });
    });
  }

  // Builds and deploys a release. Returns its id.
  async deploy(variant) {
    const { stage } = await this.verb('deploy', '--config', await this.write(variant));
    return stage.release.id;
  }

  // Builds and stages a release beside the active one. Returns its id.
  async stage(variant) {
    const { release } = await this.verb('stage', '--config', await this.write(variant));
    return release.id;
  }

  // The id of the release that serves by default.
  async active() {
    return (await this.verb('status')).active;
  }

  async #stop() {
    if (!this.process || this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const deadline = setTimeout(() => this.process.kill('SIGKILL'), 20_000);
    await ended;
    clearTimeout(deadline);
  }

  async #end() {
    // Visitors leave first: what they have open would be waited for.
    await Promise.all(this.contexts.map((context) => context.close()));
    await this.#stop();
    await rm(this.dir, { recursive: true, force: true });
  }
}

class Stop extends Error {}

// Polls until the condition holds; what it throws meanwhile counts as not yet, and is told in the end.
export async function until(what, condition) {
  const deadline = Date.now() + PATIENCE_MS;
  let last = '';
  for (;;) {
    try {
      if (await condition()) return;
      last = 'it is false';
    } catch (error) {
      if (error instanceof Stop) throw error;
      last = error.message;
    }
    if (Date.now() > deadline) throw new Error(`waited ${PATIENCE_MS} ms until ${what}: ${last}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
