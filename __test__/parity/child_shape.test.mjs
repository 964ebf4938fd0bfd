// What a program that looks at a child finds: properties, prototype, how it prints.

import { once } from 'node:events';
import { inspect } from 'node:util';

import { describe, expect, test } from 'vitest';

import { both, nodeChildProcess, ours } from './both.mjs';

/** The string keys of an object that a program sees, in their order. */
const keysOf = (object) => Object.keys(object);

/** All keys of a prototype that are not rcluster's own additions. */
const prototypeKeys = ({ ChildProcess }) => {
  const keys = new Set();
  for (let at = ChildProcess.prototype; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    Reflect.ownKeys(at).forEach((key) => keys.add(String(key)));
  }
  return [...keys].toSorted();
};

const wait = (child) => new Promise((resolve) => child.once('close', resolve));

test.each([
  ['spawn', 'true', []],
  ['spawn', 'no-such-program', []],
  ['spawn', 'true', [], { stdio: 'ignore' }],
  ['spawn', 'cat', [], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] }],
])('%s(%j): the same own properties, before and after', async (method, ...args) => {
  const [expected, actual] = await Promise.all(
    [nodeChildProcess, ours].map(async (module) => {
      const child = module[method](...args);
      child.on('error', () => {});
      const atOnce = keysOf(child);
      const ownPid = Object.hasOwn(child, 'pid');
      if (child.pid) child.kill('SIGKILL');
      await wait(child);
      return { atOnce, ownPid, afterwards: keysOf(child) };
    }),
  );
  expect(actual).toEqual(expected);
});

test('nothing is missing from the prototype', () => {
  const extra = ['killTree', 'resourceUsage', 'pid', String(inspect.custom)];
  const keys = prototypeKeys(ours);
  expect(keys.filter((key) => !extra.includes(key))).toEqual(prototypeKeys(nodeChildProcess));
});

describe.each(both)('%s', (name, { ChildProcess, spawn }) => {
  test('pid is an own number at once, stays after the end, and copies', async () => {
    const child = spawn('true', { stdio: 'ignore' });
    expect(Object.hasOwn(child, 'pid')).toBe(true);
    const { pid } = { ...child };
    expect(pid).toBeGreaterThan(0);
    await wait(child);
    expect(child.pid).toBe(pid);
    expect(Object.getOwnPropertyDescriptor(child, 'pid')).toEqual({
      value: pid,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  });

  test('pid may be assigned and deleted', async () => {
    const child = spawn('true', { stdio: 'ignore' });
    child.pid = 5;
    expect(child.pid).toBe(5);
    const other = spawn('true', { stdio: 'ignore' });
    delete other.pid;
    expect(other.pid).toBe(undefined);
    await Promise.all([wait(child), wait(other)]);
    expect(other.pid).toBe(undefined);
  });

  test('it prints with its pid', async () => {
    const child = spawn('true', { stdio: 'ignore' });
    const text = inspect(child);
    expect(text).toMatch(/^<ref \*1> ChildProcess \{|^ChildProcess \{/);
    expect(text).toContain(`pid: ${child.pid},`);
    expect(text).toContain("spawnargs: [ 'true' ]");
    expect(text.length).toBeLessThan(3000);
    await wait(child);
    expect(inspect(child)).toContain(`pid: ${child.pid},`);
    expect(inspect(ChildProcess.prototype)).not.toContain('Error');
  });

  test('a child that nothing has started', () => {
    const child = new ChildProcess();
    expect(child).toBeInstanceOf(nodeChildProcess.ChildProcess);
    expect([child.pid, child.exitCode, child.signalCode, child.killed, child.connected]).toEqual([
      undefined, null, null, false, false,
    ]); // prettier-ignore
    expect(inspect(child)).toContain('ChildProcess');
    child.ref();
    child.unref();
  });

  test('Symbol.hasInstance, constructor and name', async () => {
    const child = spawn('true', { stdio: 'ignore' });
    expect(child).toBeInstanceOf(ChildProcess);
    expect(child).toBeInstanceOf(nodeChildProcess.ChildProcess);
    expect(child.constructor.name).toBe('ChildProcess');
    expect(Object.prototype.toString.call(child)).toBe('[object Object]');
    await once(child, 'close');
  });
});
