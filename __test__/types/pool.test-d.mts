// A module typed for Piscina compiles with only the import changed.
import Pool, { FixedQueue, isWorkerThread, move, Piscina, type Options } from 'rcluster/pool';
import { expectType } from './expect_type.mjs';

const options: Options = { filename: 'worker.js', minThreads: 1, maxQueue: 'auto', recycle: { tasks: 100 } };
const pool = new Pool<{ a: number }, string>(options);

expectType<Promise<string>>(
  pool.run({ a: 1 }, { name: 'add', signal: new AbortController().signal, priority: 2 }),
);
expectType<Promise<string[]>>(pool.map([{ a: 1 }], { concurrency: 3, timeout: 100 }));
expectType<number>(pool.queueSize);
expectType<boolean>(Pool.isWorkerThread);
expectType<boolean>(isWorkerThread);
expectType<typeof Pool>(Piscina);
pool.on('workerCreate', (worker) => expectType<number>(worker.id));
pool.on('drain', () => {});
pool.run({ a: 1 }, { transferList: [new ArrayBuffer(8)] });
const moved: ArrayBuffer = move(new ArrayBuffer(8));
expectType<ArrayBuffer>(moved);
export const balanced = new Pool({
  taskQueue: new FixedQueue(),
  loadBalancer: (_task, workers) => workers[0] ?? null,
});
await pool.close({ force: true });
await pool.destroy();

// @ts-expect-error: no such option
export const wrong = new Pool({ threads: 3 });
// @ts-expect-error: the task has another type
pool.run('text');
