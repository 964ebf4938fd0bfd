import { describe, expect, test } from 'vitest';

import { both, gate, poolOf } from './both.mjs';

/** A queue that records, and turns the order around. */
class Stack {
  tasks = [];
  pushed = [];
  get size() {
    return this.tasks.length;
  }
  push(task) {
    this.pushed.push(task);
    this.tasks.push(task);
  }
  shift() {
    return this.tasks.pop() ?? null;
  }
  remove(task) {
    this.tasks.splice(this.tasks.indexOf(task), 1);
  }
}

describe.each(both)('%s', (_name, Pool) => {
  test.each(['FixedQueue', 'ArrayTaskQueue'])('%s: in and out', (kind) => {
    const queue = new Pool[kind]();
    expect(queue.shift()).toBe(null);
    const tasks = Array.from({ length: 5000 }, (_, i) => ({ i }));
    for (const task of tasks) queue.push(task);
    expect(queue.size).toBe(5000);
    queue.remove(tasks[0]);
    queue.remove(tasks[2500]);
    queue.remove(tasks[4999]);
    queue.unshift(tasks[0]);
    expect(queue.size).toBe(4998);
    const out = [];
    while (queue.size > 0) out.push(queue.shift());
    expect(out).toEqual(tasks.filter((_task, i) => i !== 2500 && i !== 4999));
  });

  test.each(['FixedQueue', 'ArrayTaskQueue'])('%s as the queue of a pool', async (kind) => {
    const taskQueue = new Pool[kind]();
    const pool = poolOf(Pool, { taskQueue });
    expect(pool.options.taskQueue).toBe(taskQueue);
    const results = await Promise.all(Array.from({ length: 50 }, (_, i) => pool.run(i)));
    expect(results).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  test('the order is that of a queue of the user', async () => {
    const { shared, open } = gate();
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1, taskQueue: new Stack() });
    const order = [];
    const busy = pool.run(shared, { name: 'wait' });
    const runs = [1, 2, 3].map((i) => pool.run(i).then((value) => order.push(value)));
    expect(pool.queueSize).toBe(3);
    open();
    await Promise.all([busy, ...runs]);
    expect(order).toEqual([3, 2, 1]);
  });

  test('a queue sees the options of a task', async () => {
    const taskQueue = new Stack();
    const { shared, open } = gate();
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1, taskQueue });
    const busy = pool.run(shared, { name: 'wait' });
    const waiting = pool.run({ a: 1, [Pool.queueOptionsSymbol]: { weight: 3 } });
    const without = pool.run({ a: 2 });
    expect(taskQueue.pushed.map((task) => task[Pool.queueOptionsSymbol])).toEqual([{ weight: 3 }, null]);
    open();
    await Promise.all([busy, waiting, without]);
    expect(await waiting).toEqual({ a: 1 });
  });

  test('a queue sees the value of a task', async () => {
    const { FixedQueue } = Pool;
    const seen = [];
    class Watching extends FixedQueue {
      push(task) {
        seen.push(task.task);
        super.push(task);
      }
    }
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1, taskQueue: new Watching() });
    await Promise.all([1, 2, 3].map((value) => pool.run({ value })));
    expect(seen).toContainEqual({ value: 2 });
    expect(seen).toContainEqual({ value: 3 });
  });

  test('a load balancer', async () => {
    const seen = [];
    const loadBalancer = (task, workers) => {
      seen.push([task.name, task.isAbortable, workers.length, workers[0]?.currentUsage]);
      return workers.find((worker) => worker.currentUsage === 0) ?? null;
    };
    const pool = poolOf(Pool, { loadBalancer });
    expect(await pool.run(1, { name: 'echo' })).toBe(1);
    expect(seen).toEqual([['echo', false, 2, 0]]);
    expect(await Promise.all([1, 2, 3, 4].map((i) => pool.run(i)))).toEqual([1, 2, 3, 4]);
  });

  test.each([true, false])('stricterFIFO %s completes everything', async (stricterFIFO) => {
    const pool = poolOf(Pool, {
      stricterFIFO,
      loadBalancer: (_task, workers) => workers.find((w) => !w.currentUsage),
    });
    const order = [];
    await Promise.all(Array.from({ length: 20 }, (_, i) => pool.run(i).then((value) => order.push(value))));
    expect(order).toHaveLength(20);
  });
});
