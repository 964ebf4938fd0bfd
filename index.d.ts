// The types of `rcluster`: everything of `node:cluster`, plus what rcluster adds. `export =` with properties lets
// `require('rcluster')`, `import cluster from 'rcluster'` and `import { fork } from 'rcluster'` all work.

import type * as node from 'node:cluster';

import type { ProcessEnvOptions } from './child_process';

declare const rcluster: rcluster.Cluster;

declare namespace rcluster {
  /** A clustered child. */
  type Worker = node.Worker;
  type Address = node.Address;
  type ClusterSettings = node.ClusterSettings;

  /** What a worker told last of itself. */
  interface WorkerLoad {
    /** Connections that its servers have got. */
    adopted: number;
    /** Of those, the open ones. */
    open: number;
    /** Of those, the closed ones. */
    closed: number;
    /** Connections on their way to it. */
    pending: number;
    /** How much of its time its event loop does not wait, 0 to 1. */
    utilization: number;
    /** Milliseconds since its event loop turned; above 1,000 it hangs. */
    silentFor: number;
  }

  /** A socket that systemd has opened. */
  interface ListenFd {
    fd: number;
    /** Of LISTEN_FDNAMES; `unknown` without one. */
    name: string;
  }

  /** What is set in the process of one worker before it starts. */
  type WorkerExtras = Pick<
    ProcessEnvOptions,
    | 'affinity'
    | 'cgroup'
    | 'closeFds'
    | 'closeGrace'
    | 'dieWithParent'
    | 'groups'
    | 'ionice'
    | 'killAfter'
    | 'killTree'
    | 'nice'
    | 'oomScoreAdj'
    | 'rlimits'
    | 'umask'
  >;

  interface Cluster extends node.Cluster {
    Worker: typeof node.Worker;

    /** True where the native engine runs; false where Node's own modules serve the same exports. */
    readonly native: boolean;

    /** For each function of `child_process` and `cluster`, whose implementation answers it. */
    coverage(): Record<string, 'rcluster' | 'node'>;
  }
}

declare module 'cluster' {
  interface Cluster {
    /** To the worker with the fewest open connections, for its weight. */
    readonly SCHED_LEAST_CONN: number;
    /** To the worker whose event loop is used least, for its weight. */
    readonly SCHED_LEAST_LOAD: number;
    /** All of one client address (IPv6: of one /64) to the same worker. */
    readonly SCHED_STICKY: number;
    /** A socket for each worker on one port; the kernel shares out. */
    readonly SCHED_REUSEPORT: number;

    fork(env: any, extras: rcluster.WorkerExtras): Worker;
    /** Sends a message to every connected worker; how many those are. */
    broadcast(message: any): number;
    /** The load of each worker that can tell it, by its number. */
    loads(): Record<number, rcluster.WorkerLoad>;
    /** How many workers can run at once, a container's quota considered, now. */
    availableParallelism(): number;
    /** The sockets that systemd started the primary with, for `server.listen({ fd })`. */
    listenFds(): rcluster.ListenFd[];
  }

  interface Worker {
    /** Its share relative to the others, 1 to 1,000; 1 at first. */
    weight: number;
    readonly isPaused: boolean;
    /** It gets no new connections from now on; it keeps those it has. */
    pause(): this;
    resume(): this;
    /** Undefined before it has told, or if it never loads rcluster. */
    readonly load: rcluster.WorkerLoad | undefined;
  }

  interface ClusterSettings extends Omit<rcluster.WorkerExtras, 'affinity'> {
    /** One of `cluster.SCHED_*`, for servers that listen from now on. */
    schedulingPolicy?: number | undefined;
    /** One processor for each worker in turn, or the processors of the first, second, ... worker. */
    affinity?: 'spread' | number[][] | undefined;
  }
}

export = rcluster;
