// The supervisor's types: what a program in the primary and one in a worker writes.
import {
  answer,
  checkOptions,
  isDraining,
  isSupervised,
  leader,
  lock,
  onDrain,
  onShutdown,
  optionNames,
  place,
  ready,
  store,
  supervise,
  type Exit,
  type Lock,
  type Metrics,
  type Supervisor,
  type SupervisorOptions,
  type WorkerStatus,
} from 'rcluster/supervisor';
import { expectType } from './expect_type.mjs';

const options: SupervisorOptions = {
  exec: 'server.js',
  instances: 'max',
  restart: 'transient',
  backoff: { min: 100 },
  recycle: { requests: 1000, rss: '512mb', heap: 0.9 },
  probe: { http: '/healthz', interval: 1000 },
  scale: { min: 1, max: 'max', target: 0.7 },
  env: () => ({ PORT: '0' }),
  rlimits: { nofile: 1024 },
};

await using supervisor: Supervisor = supervise(options);
await supervisor.started;
expectType<'stop' | 'giveUp' | 'finished'>((await supervisor.stopped).reason);
expectType<WorkerStatus[]>(supervisor.workers);
expectType<WorkerStatus[]>(supervisor.status().workers);
const { replaced, duration } = await supervisor.reload({ env: { VERSION: '2' } });
expectType<number>(replaced + duration);
expectType<number>(await supervisor.scale(3));
expectType<number>(supervisor.broadcast({ hello: 'world' }));
expectType<number | undefined>(supervisor.leader);
const metrics: Metrics = supervisor.metrics({ pss: true });
expectType<number>(metrics.total.eventLoop.delay.p99);
expectType<number>(metrics.supervisor.workers.ready);
await supervisor.restart(1);
await supervisor.ask(1, 'how much', { of: 'it' }, { timeout: 100 });
await supervisor.stop({ timeout: 1000, force: true });

supervisor.on('worker:exit', (worker, exit) => {
  expectType<number>(worker.id);
  expectType<Exit>(exit);
  expectType<string | null>(exit.signal);
});
supervisor.on('recycle', (_worker, { reason }) =>
  expectType<'requests' | 'age' | 'rss' | 'heap' | 'probe'>(reason),
);
supervisor.on('giveUp', ({ scope }) => expectType<'worker' | 'app'>(scope));
supervisor.on('log', ({ level, message }) => expectType<string>(`${level} ${message}`));

expectType<readonly string[]>(optionNames);
checkOptions({ exec: 'server.js' });

ready();
onDrain(({ reason }) => expectType<string>(reason));
onShutdown(async ({ deadline, signal }) => {
  expectType<number>(deadline);
  expectType<AbortSignal>(signal);
});
answer('how much', (payload) => payload.of);
expectType<boolean>(isSupervised);
expectType<boolean>(isDraining);
expectType<number | undefined>(place);
expectType<number>(await store.incr('visits', 2));
expectType<boolean>(await store.setIfAbsent('first', place, { ttl: 1000 }));
expectType<Lock>(await lock('migration'));
expectType<Lock | undefined>(await lock('migration', { wait: false }));
leader.on('elected', () => expectType<boolean>(leader.isLeader));

// @ts-expect-error: there is nothing to run
supervise({ instances: 2 });
// @ts-expect-error: no such option
supervise({ exec: 'server.js', instnaces: 2 });
// @ts-expect-error: no such way to restart
supervise({ exec: 'server.js', restart: 'always' });
// @ts-expect-error: messages between workers and supervisor are not counted
expectType<unknown>(metrics.total.ipc);
// @ts-expect-error: without `wait` there may be no lock
expectType<Lock>(await lock('migration', { wait: false }));
