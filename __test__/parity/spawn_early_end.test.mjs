// What ends a spawned child early: time-outs and abort signals.

import { EventEmitter, getEventListeners } from 'node:events';

import { describe, expect, test } from 'vitest';

import { both, ours } from './both.mjs';

/** Everything a child reports, in order, until 'close'. */
async function eventsOf(child) {
  const events = [];
  for (const name of ['spawn', 'error', 'exit', 'close']) {
    child.on(name, (...args) =>
      events.push([name, ...args.map((arg) => (arg instanceof Error ? arg.name : arg))]),
    );
  }
  await new Promise((resolve) => child.once('close', resolve));
  return events;
}

/** The arguments of one event; unlike `once`, not disturbed by an 'error'. */
const event = (child, name) => new Promise((resolve) => child.once(name, (...args) => resolve(args)));

describe.each(both)('%s', (name, { ChildProcess, fork, spawn }) => {
  test('a time-out kills, without an error', async () => {
    const child = spawn('sleep', ['10'], { timeout: 30 });
    expect(await eventsOf(child)).toEqual([['spawn'], ['exit', null, 'SIGTERM'], ['close', null, 'SIGTERM']]);
    expect(child.killed).toBe(true);
  });

  test('a time-out kills with the signal asked for', async () => {
    const child = spawn('sleep', ['10'], { timeout: 30, killSignal: 'SIGKILL' });
    expect(await event(child, 'exit')).toEqual([null, 'SIGKILL']);
  });

  test('a time-out that is not reached leaves no timer behind', async () => {
    const child = spawn('true', { timeout: 60_000 });
    await event(child, 'close');
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length).toBeLessThan(5);
    expect(child.killed).toBe(false);
  });

  test('an abort kills and reports its reason', async () => {
    const controller = new AbortController();
    const child = spawn('sleep', ['10'], { signal: controller.signal, killSignal: 'SIGINT' });
    const failed = event(child, 'error');
    await event(child, 'spawn');
    const ended = event(child, 'exit');
    const reason = new Error('enough');
    controller.abort(reason);
    const [error] = await failed;
    expect(error).toMatchObject({
      name: 'AbortError',
      code: 'ABORT_ERR',
      message: 'The operation was aborted',
    });
    expect(error.cause).toBe(reason);
    expect(error.constructor.name).toBe('AbortError');
    expect(await ended).toEqual([null, 'SIGINT']);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  test('a signal aborted beforehand ends a child that is started all the same', async () => {
    const child = spawn('sleep', ['10'], { signal: AbortSignal.abort('why'), stdio: 'ignore' });
    expect(child.pid).toBeGreaterThan(0);
    const ended = event(child, 'exit');
    const [error] = await event(child, 'error');
    expect(error.cause).toBe('why');
    expect(await ended).toEqual([null, 'SIGTERM']);
  });

  test('an abort after the end does nothing', async () => {
    const controller = new AbortController();
    const child = spawn('true', { signal: controller.signal });
    await event(child, 'close');
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    controller.abort();
    expect(child.killed).toBe(false);
  });

  test('an abort stopped on its way arrives all the same', async () => {
    const controller = new AbortController();
    controller.signal.addEventListener('abort', (event) => event.stopImmediatePropagation(), { once: true });
    const child = spawn('sleep', ['10'], { signal: controller.signal });
    const failed = event(child, 'error');
    const ended = event(child, 'exit');
    controller.abort();
    const [error] = await failed;
    expect(error.name).toBe('AbortError');
    await ended;
  });

  test('fork takes a signal and a time-out too', async () => {
    const child = fork('-e', [], {
      execArgv: [],
      timeout: 1,
      stdio: 'ignore',
      execPath: '/bin/cat',
      signal: undefined,
    });
    expect(child).toBeInstanceOf(ChildProcess);
    expect(child).toBeInstanceOf(EventEmitter);
    await event(child, 'exit');
  }, 10_000);
});

test('the abort listener goes where the program is not there, which Node forgets', async () => {
  const controller = new AbortController();
  const child = ours.spawn('no-such-program', { signal: controller.signal });
  await event(child, 'error');
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
});

test('the abort listener goes where the exec fails late', async () => {
  const controller = new AbortController();
  // Executable, but of no kind the kernel knows, with an interpreter that is not there: seen by the exec only.
  const { chmodSync, mkdtempSync, rmSync, writeFileSync } = await import('node:fs');
  const directory = mkdtempSync('/tmp/rcluster-late-');
  const file = `${directory}/script`;
  writeFileSync(file, '#!/no/such/interpreter\n');
  chmodSync(file, 0o755);
  const child = ours.spawn(file, { signal: controller.signal, timeout: 60_000 });
  const closed = event(child, 'close');
  const [error] = await event(child, 'error');
  expect(error).toMatchObject({ code: 'ENOENT', path: file });
  await closed;
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  rmSync(directory, { recursive: true });
});
