// Everything that @types/node says of node:child_process and node:cluster holds for ours: what Node's is expected, ours
// will do. Checked with the types of every supported line (tsconfig.node*.json).
import type * as nodeChildProcess from 'node:child_process';
import type nodeCluster from 'node:cluster';
import type * as nodeClusterNames from 'node:cluster';
import cluster from 'rcluster';
import type * as clusterNames from 'rcluster';
import childProcess from 'rcluster/child_process';
import type * as childProcessNames from 'rcluster/child_process';
import { expectType } from './expect_type.mjs';

/** Names of what is not there, or will not do in Node's place. */
type Differences<Ours, Node> = {
  [Name in keyof Node]: Name extends keyof Ours ? (Ours[Name] extends Node[Name] ? never : Name) : Name;
}[keyof Node];

declare const none: never;
expectType<Differences<typeof childProcess, typeof nodeChildProcess>>(none);
expectType<Differences<typeof childProcessNames, typeof nodeChildProcess>>(none);
expectType<Differences<typeof cluster, typeof nodeCluster>>(none);
type ImportedByName = Omit<typeof nodeClusterNames, 'default'>;
expectType<Differences<typeof clusterNames, ImportedByName>>(none);

// A name that is missing shows: what is expected is `never` and nothing else.
expectType<Differences<object, { spawn: 1 }>>('spawn');
// @ts-expect-error nothing that is there is a difference
expectType<Differences<{ spawn: 1; more: 2 }, { spawn: 1 }>>('spawn');

// As whole modules, too: for wrappers and mocks that take or replace one.
expectType<typeof nodeChildProcess>(childProcess);
expectType<typeof nodeCluster>(cluster);

// Each type that Node's modules export, under the same name. Those of `node:cluster` are four on every line.
export type ClusterTypes = [
  clusterNames.Address,
  clusterNames.Cluster,
  clusterNames.ClusterSettings,
  clusterNames.Worker,
];
expectType<nodeClusterNames.Address>(null as unknown as clusterNames.Address);
expectType<clusterNames.Address>(null as unknown as nodeClusterNames.Address);
expectType<nodeClusterNames.Worker>(null as unknown as clusterNames.Worker);
expectType<clusterNames.Worker>(null as unknown as nodeClusterNames.Worker);
expectType<nodeClusterNames.ClusterSettings>(null as unknown as clusterNames.ClusterSettings);
expectType<clusterNames.ClusterSettings>(null as unknown as nodeClusterNames.ClusterSettings);
expectType<nodeClusterNames.Cluster>(null as unknown as clusterNames.Cluster);

// Overloads give what Node's give: options decide on text or bytes, null or streams.
declare const childProcessOfNode: typeof nodeChildProcess;
export const spawns = (['ignore', 'pipe'] as const).map(() => [
  [childProcess.spawn('a', { stdio: 'pipe' }), childProcessOfNode.spawn('a', { stdio: 'pipe' })],
  [childProcess.spawn('a', ['b'], { stdio: [null, 'pipe', 'ignore'] })],
]);
const piped = childProcess.spawn('a', { stdio: 'pipe' });
expectType<ReturnType<() => typeof piped.stdout>>(childProcessOfNode.spawn('a', { stdio: 'pipe' }).stdout);
expectType<string>(childProcess.execSync('a', { encoding: 'utf8' }));
expectType<NonNullable<ReturnType<typeof childProcessOfNode.execSync>>>(childProcess.execSync('a'));
expectType<string>(childProcess.spawnSync('a', { encoding: 'utf8' }).stdout);
expectType<Promise<{ stdout: string; stderr: string }>>(childProcess.exec.__promisify__('a'));
expectType<Promise<{ stdout: string; stderr: string }>>(childProcess.execFile.__promisify__('a', ['b']));
