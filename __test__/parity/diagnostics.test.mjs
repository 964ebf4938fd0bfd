// What those who watch from outside see: diagnostics channels, async contexts, async hooks.

import { AsyncLocalStorage, createHook, executionAsyncId } from 'node:async_hooks';
import { once } from 'node:events';
import diagnostics from 'node:diagnostics_channel';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { fixture } from '../helpers/run_script.mjs';
import { both, nodeMajor, shapeOf } from './both.mjs';

const directory = mkdtempSync(join(tmpdir(), 'rcluster-diagnostics-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** Fails in the exec itself. */
const lateFailure = join(directory, 'script');
writeFileSync(lateFailure, '#!/no/such/interpreter\n', { mode: 0o755 });

const wait = (child) => new Promise((resolve) => child.once('close', resolve));

/** Runs `body` with everything noted that is published about children. */
async function published(body) {
  const seen = [];
  const onCreated = (message, name) =>
    seen.push([String(name), Object.keys(message), message.process.spawnfile]);
  const onTrace = (message, name) =>
    seen.push([
      String(name),
      Object.keys(message),
      message.process.spawnfile,
      message.error
        ? shapeOf(message.error)
        : message.options && [message.options.file, Object.keys(message.options)],
    ]);
  const traces = ['start', 'end', 'error', 'asyncStart', 'asyncEnd'].map(
    (kind) => `tracing:child_process.spawn:${kind}`,
  );
  diagnostics.subscribe('child_process', onCreated);
  for (const name of traces) diagnostics.subscribe(name, onTrace);
  try {
    await body();
  } finally {
    diagnostics.unsubscribe('child_process', onCreated);
    for (const name of traces) diagnostics.unsubscribe(name, onTrace);
  }
  return seen;
}

test.each([
  ['spawn', 'true', ['a']],
  ['spawn', 'no-such-program', ['a']],
  ['spawn', '/etc/passwd', []],
  ['spawn', lateFailure, []],
  ['spawn', 'true', ['x'.repeat(300_000)]],
  ['exec', 'exit 3'],
  ['execFile', 'true'],
  ['fork', '/no/such/module.js', [], { silent: true }],
  ['spawnSync', 'true'],
])('%s(%j) publishes what Node publishes', async (method, ...args) => {
  const results = [];
  for (const [, module] of both) {
    results.push(
      await published(async () => {
        let child;
        try {
          child = module[method](...args);
        } catch {
          return;
        }
        if (!child.on) return;
        child.on('error', () => {});
        child.stderr?.resume();
        await wait(child);
      }),
    );
  }
  const [expected, actual] = results;
  expect(actual).toEqual(expected);
  if (method !== 'spawnSync') expect(actual.length).toBe(nodeMajor >= 24 ? 3 : 1);
});

describe.each(both)('%s', (name, { spawn, exec, fork }) => {
  const storage = new AsyncLocalStorage();

  test('every listener runs in the context of the spawn', async () => {
    const contexts = {};
    const note = (what) => () => (contexts[what] = storage.getStore());
    const child = storage.run('spawn', () =>
      fork(fixture('ipc_child.cjs'), [], { execArgv: [], silent: true }),
    );
    storage.run('reader', () => {
      void child.pid;
      for (const event of ['spawn', 'message', 'disconnect', 'exit', 'close']) child.on(event, note(event));
      child.stdout.on('close', note('stdout close'));
      child.send({ command: 'echo', value: 1 });
    });
    await once(child, 'message');
    storage.run('ender', () => child.send({ command: 'exit', code: 0 }));
    await wait(child);
    await new Promise((resolve) => setImmediate(resolve));
    expect(contexts).toEqual({
      spawn: 'spawn', message: 'spawn', disconnect: 'spawn', exit: 'spawn', close: 'spawn', 'stdout close': 'spawn',
    }); // prettier-ignore
  });

  test('so does that of an error, and the callback of exec', async () => {
    const contexts = [];
    const failed = storage.run('spawn', () => spawn('no-such-program'));
    storage.run('reader', () => failed.on('error', () => contexts.push(storage.getStore())));
    await wait(failed);
    await new Promise((resolve) => {
      storage.run('exec', () =>
        exec('true', () => {
          contexts.push(storage.getStore());
          resolve();
        }),
      );
    });
    expect(contexts).toEqual(['spawn', 'exec']);
  });

  test('a child has an async resource, made, used and destroyed', async () => {
    const log = [];
    const ids = new Set();
    const hook = createHook({
      init(id, type, trigger) {
        if (type !== 'PROCESSWRAP') return;
        ids.add(id);
        log.push(['init', trigger === executionAsyncId()]);
      },
      before: (id) => ids.has(id) && log.push(['before']),
      destroy: (id) => ids.has(id) && log.push(['destroy']),
    }).enable();
    try {
      const child = spawn('true', { stdio: 'ignore' });
      const exitId = await new Promise((resolve) => child.on('exit', () => resolve(executionAsyncId())));
      expect(ids.has(exitId)).toBe(true);
      await expect.poll(() => log.at(-1)).toEqual(['destroy']);
      expect(log[0]).toEqual(['init', true]);
      expect(log.filter(([what]) => what === 'destroy').length).toBe(1);
    } finally {
      hook.disable();
    }
  });
});
