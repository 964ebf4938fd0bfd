// A module typed for node:cluster and node:child_process compiles with only the import changed.
import nodeCluster, { type Worker as NodeWorker, type Cluster as NodeCluster } from 'node:cluster';
import http from 'node:http';
import cluster, {
  fork,
  isPrimary,
  SCHED_RR,
  setupPrimary,
  Worker,
  type Address,
  type ClusterSettings,
} from 'rcluster';
import childProcess, { spawn, type ChildProcess, type SpawnOptions } from 'rcluster/child_process';
import 'rcluster/register';
import { expectType } from './expect_type.mjs';

const settings: ClusterSettings = { exec: 'worker.js', args: ['--use', 'https'], silent: true };

if (isPrimary) {
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  cluster.schedulingPolicy = SCHED_RR;
  setupPrimary(settings);
  const worker: Worker = fork({ PORT: '0' });
  worker.on('listening', (address: Address) => expectType<number>(address.port));
  worker.send({ hello: 'world' }, (error) => expectType<Error | null>(error));
  expectType<boolean>(worker instanceof Worker);
  expectType<ChildProcess>(worker.process);
  cluster.on('exit', (dead, code, signal) => {
    expectType<Worker>(dead);
    expectType<number>(code);
    expectType<string>(signal);
    cluster.fork();
  });
  cluster.once('message', (from, message) => from.send(message)).disconnect();
  for (const each of Object.values(cluster.workers ?? {})) each?.kill('SIGTERM');
} else {
  http.createServer((_request, response) => response.end()).listen(0);
  cluster.worker?.disconnect();
}

// Both ways: what takes Node's cluster takes ours, and our workers are Node's.
const takesCluster = (_: NodeCluster): void => {};
takesCluster(cluster);
const nodeWorker: NodeWorker = cluster.fork();
const ours: Worker = nodeCluster.fork();

expectType<boolean>(cluster.native);
expectType<'rcluster' | 'node' | undefined>(cluster.coverage()['cluster.fork']);
// @ts-expect-error read-only, as in Node
cluster.isPrimary = true;
// @ts-expect-error no such thing
cluster.nonsense();

const options: SpawnOptions = { stdio: ['ignore', 'pipe', 'inherit'] };
const child = spawn('ls', ['-lh'], options);
child.on('close', (code, signal) => {
  expectType<number | null>(code);
  expectType<NodeJS.Signals | null>(signal);
});
childProcess.exec('true', (error, stdout) => expectType<string>(stdout));
const output: string = childProcess.execFileSync('true', { encoding: 'utf8' });
// @ts-expect-error a number is no program
spawn(1);

export { nodeWorker, ours, output };
