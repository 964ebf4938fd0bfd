// What rcluster adds to cluster.
import nodeCluster from 'node:cluster';
import cluster, { SCHED_STICKY, loads, type WorkerLoad } from 'rcluster';
import { expectType } from './expect_type.mjs';

cluster.setupPrimary({ schedulingPolicy: SCHED_STICKY, affinity: 'spread', nice: 5 });
cluster.setupPrimary({ affinity: [[0, 1], [2]] });
cluster.setupPrimary({ stickyBy: 'x-forwarded-for', stickyTimeout: 500 });
const worker = cluster.fork({ PORT: '0' }, { nice: 5, affinity: [0], rlimits: { nofile: 1024 } });
worker.weight = 3;
expectType<boolean>(worker.pause().resume().isPaused);
expectType<WorkerLoad | undefined>(worker.load);
expectType<Record<number, WorkerLoad>>(loads());
expectType<number>(cluster.broadcast({ reload: true }));
expectType<number>(cluster.availableParallelism());
for (const { fd, name } of cluster.listenFds()) expectType<[number, string]>([fd, name]);
// It is the same object.
nodeCluster.schedulingPolicy = nodeCluster.SCHED_LEAST_CONN;
// @ts-expect-error no such placement
cluster.setupPrimary({ affinity: 'near' });
// @ts-expect-error read only
worker.load = undefined;
expectType<Promise<any>>(worker.request({ any: 'thing' }, { timeout: 100 }));
worker.onRequest((message) => message);
cluster.onRequest((message, from) => [message, from.id]);
cluster.onRequest(null);
cluster.on('workerMessage', (message, workerId) => expectType<number>(workerId));
if (cluster.worker?.sendTo) expectType<Promise<void>>(cluster.worker.sendTo(2, 'x', { timeout: 5 }));
expectType<Promise<number> | undefined>(cluster.worker?.broadcast?.('x'));
expectType<number[]>(Object.values(loads()).map(({ rss, heapUsed }) => rss + heapUsed));
