import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

import { projectOf } from '../helpers/project.mjs';

// Programs as Piscina's manual shows them. Only the name of the package changes; what they print must not.

const run = promisify(execFile);

/** @type {Record<string, Record<string, string>>} main first */
const programs = {
  'CommonJS, and a process that ends by itself': {
    'main.cjs': `
      const path = require('node:path');
      const Piscina = require('PACKAGE');
      const piscina = new Piscina({ filename: path.resolve(__dirname, 'worker.cjs') });
      (async function () {
        console.log(await piscina.run({ a: 4, b: 6 }));
      })();`,
    'worker.cjs': 'module.exports = ({ a, b }) => a + b;',
  },
  'an ES module by URL, from the named export': {
    'main.mjs': `
      import { Piscina } from 'PACKAGE';
      const piscina = new Piscina({ filename: new URL('./worker.mjs', import.meta.url).href });
      console.log(await piscina.run({ a: 4, b: 6 }));`,
    'worker.mjs': 'export default async ({ a, b }) => a + b;',
  },
  'the default export, with TypeScript-like interop': {
    'main.mjs': `
      import Piscina from 'PACKAGE';
      import * as all from 'PACKAGE';
      console.log(all.default === Piscina, all.Piscina === Piscina, new Piscina.Piscina() instanceof Piscina);`,
  },
  'several functions in one file': {
    'main.cjs': `
      const { resolve } = require('node:path');
      const Piscina = require('PACKAGE');
      const piscina = new Piscina({ filename: resolve(__dirname, 'worker.cjs') });
      (async () => {
        console.log(await Promise.all([
          piscina.run({ a: 4, b: 6 }),
          piscina.run({ a: 4, b: 6 }, { name: 'multiply' }),
          piscina.run({}, { name: 'nothing' }).catch(({ message }) => message.replace(__dirname, '')),
        ]));
      })();`,
    'worker.cjs': `
      const add = ({ a, b }) => a + b;
      add.add = add;
      add.multiply = ({ a, b }) => a * b;
      module.exports = add;`,
  },
  'one file for both sides': {
    'main.cjs': `
      const { Piscina, isWorkerThread, workerData } = require('PACKAGE');
      if (isWorkerThread) {
        module.exports = (text) => [text, isWorkerThread, workerData];
      } else {
        new Piscina({ filename: __filename, workerData: 'mine' }).run('hello').then(console.log);
      }`,
  },
  'a signal, and an emitter in its place': {
    'main.cjs': `
      const { EventEmitter } = require('node:events');
      const { resolve } = require('node:path');
      const Piscina = require('PACKAGE');
      const piscina = new Piscina({ filename: resolve(__dirname, 'worker.cjs') });
      (async () => {
        const controller = new AbortController();
        const first = piscina.run({}, { signal: controller.signal });
        controller.abort();
        const emitter = new EventEmitter();
        const second = piscina.run({}, { signal: emitter });
        emitter.emit('abort');
        for (const task of [first, second]) await task.catch(({ name, message }) => console.log(name, message));
        await piscina.run({}, { signal: AbortSignal.abort('reason') }).catch(({ cause }) => console.log(cause));
      })();`,
    'worker.cjs': 'module.exports = () => { while (true); };',
  },
  'a thread that takes its time to get ready': {
    'main.cjs': `
      const { resolve } = require('node:path');
      const Piscina = require('PACKAGE');
      new Piscina({ filename: resolve(__dirname, 'worker.cjs') }).run({ a: 1, b: 2 }).then(console.log);`,
    'worker.cjs': `
      async function initialize() {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return ({ a, b }) => a + b;
      }
      module.exports = initialize();`,
  },
  // All threads from the start: with one that is still starting, Piscina may never say that it has room again.
  backpressure: {
    'main.cjs': `
      const { resolve } = require('node:path');
      const { Readable } = require('node:stream');
      const Piscina = require('PACKAGE');
      const pool = new Piscina({ filename: resolve(__dirname, 'worker.cjs'), minThreads: 2, maxThreads: 2, maxQueue: 'auto' });
      let paused = 0;
      let most = 0;
      const stream = Readable.from(Array.from({ length: 40 }, (_, i) => i));
      pool.on('drain', () => stream.resume());
      const results = [];
      stream
        .on('data', (i) => {
          results.push(pool.run(i));
          most = Math.max(most, pool.queueSize);
          if (pool.needsDrain || pool.queueSize >= pool.options.maxQueue) {
            paused++;
            stream.pause();
          }
        })
        .on('end', async () => {
          const sum = (await Promise.all(results)).reduce((a, b) => a + b);
          console.log(sum, paused > 0, most <= pool.options.maxQueue, pool.completed);
        });`,
    'worker.cjs': 'module.exports = async (i) => { await new Promise((r) => setTimeout(r, 2)); return i; };',
  },
  'a message to all threads': {
    'main.cjs': `
      const { BroadcastChannel } = require('node:worker_threads');
      const { resolve } = require('node:path');
      const Piscina = require('PACKAGE');
      const filename = resolve(__dirname, 'worker.cjs');
      const piscina = new Piscina({ filename, atomics: 'disabled', minThreads: 2, maxThreads: 2 });
      const channel = new BroadcastChannel('mine');
      const runs = Promise.all([piscina.run('one'), piscina.run('two')]);
      let ready = 0;
      piscina.on('message', () => {
        if (++ready === 2) channel.postMessage('hello');
      });
      runs.then((results) => {
        channel.close();
        console.log(results);
      });`,
    'worker.cjs': `
      const { BroadcastChannel, parentPort } = require('node:worker_threads');
      module.exports = (name) => new Promise((resolve) => {
        const channel = new BroadcastChannel('mine');
        channel.onmessage = ({ data }) => {
          channel.close();
          resolve(name + ' ' + data);
        };
        parentPort.postMessage('ready');
      });`,
  },
  'a queue of the user, by the options of tasks': {
    'main.cjs': `
      const { resolve } = require('node:path');
      const { Piscina, queueOptionsSymbol } = require('PACKAGE');
      class Priority {
        tasks = [];
        get size() { return this.tasks.length; }
        push(task) {
          this.tasks.push(task);
          this.tasks.sort((a, b) => b[queueOptionsSymbol].priority - a[queueOptionsSymbol].priority);
        }
        shift() { return this.tasks.shift() ?? null; }
        remove(task) { this.tasks.splice(this.tasks.indexOf(task), 1); }
      }
      const pool = new Piscina({
        filename: resolve(__dirname, 'worker.cjs'), maxThreads: 1, minThreads: 1, taskQueue: new Priority(),
      });
      const order = [];
      const runs = [0, 1, 5, 3].map((priority) =>
        pool.run({ priority, [queueOptionsSymbol]: { priority } }).then((n) => order.push(n)));
      Promise.all(runs).then(() => console.log(order));`,
    'worker.cjs': 'module.exports = ({ priority }) => priority;',
  },
  'the queue that is fast': {
    'main.cjs': `
      const { resolve } = require('node:path');
      const { Piscina, FixedQueue } = require('PACKAGE');
      const pool = new Piscina({ filename: resolve(__dirname, 'worker.cjs'), taskQueue: new FixedQueue() });
      Promise.all(Array.from({ length: 10 }, (_, data) => pool.run({ data }))).then((all) => console.log(all.join()));`,
    'worker.cjs': 'module.exports = ({ data }) => data * 2;',
  },
  'an object that says itself what is transferred': {
    'main.cjs': `
      const { resolve } = require('node:path');
      const { Piscina } = require('PACKAGE');
      const pool = new Piscina({ filename: resolve(__dirname, 'worker.cjs'), minThreads: 1, maxThreads: 1 });
      (async () => {
        const { a, c } = await pool.run();
        console.log(a.b, c, await pool.run(undefined, { name: 'left' }));
      })();`,
    'worker.cjs': `
      const { move, transferableSymbol, valueSymbol } = require('PACKAGE');
      let kept;
      module.exports = () => {
        kept = {
          a: { b: new Uint8Array(5) },
          c: new Uint8Array(10),
          get [transferableSymbol]() { return [this.a.b.buffer, this.c.buffer]; },
          get [valueSymbol]() { return { a: { b: this.a.b }, c: this.c }; },
        };
        return move(kept);
      };
      module.exports.left = () => [kept.a.b.length, kept.c.length];`,
  },
  'the context of a task is that of its run': {
    'main.cjs': `
      const { AsyncLocalStorage, executionAsyncResource } = require('node:async_hooks');
      const { resolve } = require('node:path');
      const Piscina = require('PACKAGE');
      const storage = new AsyncLocalStorage();
      const pool = new Piscina({ filename: resolve(__dirname, 'worker.cjs'), maxThreads: 1 });
      const ask = (id) => storage.run(id, () => pool.run(id).then((n) => [n, storage.getStore()]));
      Promise.all([1, 2, 3].map(ask)).then((all) => console.log(JSON.stringify(all)));`,
    'worker.cjs': 'module.exports = (n) => n;',
  },
  'errors, of the function and of the thread': {
    'main.cjs': `
      const { resolve } = require('node:path');
      const Piscina = require('PACKAGE');
      const pool = new Piscina({ filename: resolve(__dirname, 'worker.cjs'), minThreads: 1, maxThreads: 1 });
      (async () => {
        await pool.run('throw').catch((error) => console.log(error instanceof TypeError, error.message, error.code));
        await pool.run('later').catch((error) => console.log(error.message));
        console.log(await pool.run('fine'));
      })();`,
    'worker.cjs': `
      module.exports = async (what) => {
        if (what === 'throw') throw Object.assign(new TypeError('no'), { code: 'ENO' });
        if (what === 'later') {
          setTimeout(() => { throw new Error('uncaught'); }, 5);
          await new Promise((resolve) => setTimeout(resolve, 1000));
        }
        return what;
      };`,
  },
};

const outputOf = async (files, name) => {
  const [main] = Object.keys(files);
  const texts = Object.entries(files).map(([file, text]) => [file, text.replaceAll('PACKAGE', name)]);
  const folder = projectOf(Object.fromEntries(texts), ['piscina', 'rcluster']);
  const { stdout } = await run(process.execPath, [path.join(folder, main)], { timeout: 20_000 });
  return stdout.replaceAll(folder, '.');
};

test.each(Object.entries(programs))('%s', { timeout: 30_000 }, async (_name, files) => {
  const [expected, output] = await Promise.all([
    outputOf(files, 'piscina'),
    outputOf(files, 'rcluster/pool'),
  ]);
  expect(expected).not.toBe('');
  expect(output).toBe(expected);
});
