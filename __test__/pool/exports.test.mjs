import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';

import { describe, expect, test } from 'vitest';

import { both } from './both.mjs';

const require = createRequire(import.meta.url);

describe.each(both)('%s', (name, Pool) => {
  test('the module is the class, and carries the other exports', () => {
    expect(require(name === 'piscina' ? 'piscina' : 'rcluster/pool')).toBe(Pool);
    expect(Pool.Piscina).toBe(Pool);
    for (const key of ['FixedQueue', 'ArrayTaskQueue', 'move']) expect(Pool[key]).toBeTypeOf('function');
    expect(Pool.isWorkerThread).toBe(false);
    expect(Pool.workerData).toBe(undefined);
    expect(Pool.version).toMatch(/^\d+\.\d+\.\d+/);
  });

  test('the symbols are the shared ones', () => {
    expect(Pool.transferableSymbol).toBe(Symbol.for('Piscina.transferable'));
    expect(Pool.valueSymbol).toBe(Symbol.for('Piscina.valueOf'));
    expect(Pool.queueOptionsSymbol).toBe(Symbol.for('Piscina.queueOptions'));
  });

  test('the prototype has the members', () => {
    const names = Object.getOwnPropertyNames(both[0][1].prototype);
    expect(Object.getOwnPropertyNames(Pool.prototype)).toEqual(expect.arrayContaining(names));
  });
});

test('what Piscina exports by name, rcluster/pool exports', () => {
  const names = ['ArrayTaskQueue', 'FixedQueue', 'Piscina', 'isWorkerThread', 'move', 'queueOptionsSymbol'];
  names.push('transferableSymbol', 'valueSymbol', 'version', 'workerData');
  const namesOf = (module) => {
    const code = `console.log(JSON.stringify(Object.keys(await import('${module}'))))`;
    const options = { cwd: new URL('../..', import.meta.url), encoding: 'utf8' };
    return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', code], options));
  };
  expect(namesOf('piscina')).toEqual(expect.arrayContaining(names));
  expect(namesOf('rcluster/pool')).toEqual(expect.arrayContaining([...names, 'Pool', 'default']));
});
