// The types of `rcluster`: everything of `node:cluster`, plus what rcluster adds. `export =` with properties lets
// `require('rcluster')`, `import cluster from 'rcluster'` and `import { fork } from 'rcluster'` all work.

import type * as node from 'node:cluster';

import type { ProcessEnvOptions, RequestOptions } from './child_process';

declare const rcluster: rcluster.Cluster;

declare namespace rcluster {
  /** A clustered child. */
  type Worker = node.Worker;
  type Address = node.Address;
  type ClusterSettings = node.ClusterSettings;
  /** `timeout` in milliseconds, and `signal`, as of `child.request`. */
  type WorkerRequestOptions = RequestOptions;

  /** What a worker told last of itself. */
  interface WorkerLoad {
    /** Connections that its servers have got, by hand-off or by accepting for themselves. */
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
    /** Bytes of memory that its process has now; 0 once it has ended. */
    rss: number;
    /** Bytes of its JavaScript heap that are used, as it told within the last second. */
    heapUsed: number;
  }

  /** A socket that systemd has opened. */
  interface ListenFd {
    /** Its descriptor, from 3. */
    fd: number;
    /** Of LISTEN_FDNAMES; `unknown` without one. */
    name: string;
  }

  /** What is set in the process of one worker before it starts: the options of the same names of `child_process.spawn`. */
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

    /** With options for this worker alone, before those of `setupPrimary`. */
    fork(env: any, extras: rcluster.WorkerExtras): Worker;
    /** In the primary: sends a message to every connected worker; how many those are. */
    broadcast(message: any): number;
    /**
     * Answers requests; `null` takes the handler away. In the primary those of all workers, also of later ones:
     * `from` is the Worker. In a worker those of the primary, where `from` is 0, and of other workers, where it is
     * their number. What the handler throws rejects the request.
     */
    onRequest(handler: ((message: any, from: any) => unknown) | null): void;
    /** In the primary: the load of each worker that can tell it, by its number. */
    loads(): Record<number, rcluster.WorkerLoad>;
    /** How many workers can run at once, a container's quota considered, now. */
    availableParallelism(): number;
    /** The sockets that systemd started the primary with, for `server.listen({ fd })`; none without systemd. */
    listenFds(): rcluster.ListenFd[];
  }

  // Read by the types of Node 26 and later; the ones before take any event.
  interface ClusterEventMap {
    /** In a worker: another has sent a message by `sendTo` or `broadcast`. What comes before a listener waits. */
    workerMessage: [message: any, workerId: number];
  }

  interface Worker {
    /**
     * In the primary: its share of new connections relative to the others, a whole number from 1 to 1,000, else
     * `ERR_OUT_OF_RANGE`. Not for `SCHED_NONE` and `SCHED_REUSEPORT`, where the kernel shares out.
     * @default 1
     */
    weight: number;
    /** In the primary: whether `pause()` holds. */
    readonly isPaused: boolean;
    /** In the primary: it gets no new connections from now on; it keeps those it has. As `weight`, not where the kernel shares out. */
    pause(): Worker;
    /** In the primary: it gets new connections again. */
    resume(): Worker;
    /**
     * In the primary: asks the worker; in the worker: asks the primary. Rejects with the handler's error, with
     * `ERR_RCLUSTER_PEER` where the other end has not loaded rcluster, with `ERR_IPC_CHANNEL_CLOSED` when it has gone, with
     * `ERR_RCLUSTER_REQUEST_TIMEOUT` after `timeout`.
     */
    request(message: any, options?: rcluster.WorkerRequestOptions): Promise<any>;
    /** Answers requests of the other end of this worker's channel only; the last of this and `cluster.onRequest` holds. */
    onRequest(handler: ((message: any) => unknown) | null): void;
    /**
     * In a worker: a message to another one, by its number. Resolves once it has arrived; emits 'workerMessage' on
     * the other's `cluster`. Rejects with `ERR_RCLUSTER_NO_WORKER` when there is no such worker, or none any more.
     * Goes by a structured clone, from worker to worker without the primary.
     */
    sendTo?(workerId: number, message: any, options?: rcluster.WorkerRequestOptions): Promise<void>;
    /**
     * In a worker: asks another one, whose `cluster.onRequest` answers. Rejects as `sendTo` does, with the handler's error,
     * and with `ERR_RCLUSTER_NO_HANDLER` where there is no handler.
     */
    requestTo?(workerId: number, message: any, options?: rcluster.WorkerRequestOptions): Promise<any>;
    /** In a worker: a message to all others that have loaded rcluster; how many have got it. */
    broadcast?(message: any, options?: rcluster.WorkerRequestOptions): Promise<number>;
    /** In the primary; undefined before the worker has told, or if it never loads rcluster. */
    readonly load: rcluster.WorkerLoad | undefined;
  }

  interface ClusterSettings extends Omit<rcluster.WorkerExtras, 'affinity'> {
    /**
     * One of `cluster.SCHED_*`, for servers that listen from now on; anything else throws `ERR_INVALID_ARG_VALUE`.
     * @default `SCHED_RR`, or what `NODE_CLUSTER_SCHED_POLICY` names
     */
    schedulingPolicy?: number | undefined;
    /**
     * Where `SCHED_STICKY` finds the client's address, for servers that listen from now on: that of the connection
     * (the default), or what a proxy says in front, in a PROXY protocol header (version 1 or 2) or in the first
     * `X-Forwarded-For` of the first HTTP request. It is looked at, not taken: the server reads it too. A connection
     * that does not say so in time goes by its own address.
     */
    stickyBy?: 'address' | 'proxy' | 'x-forwarded-for' | undefined;
    /**
     * Milliseconds that a connection may take to say it, 1 to 60,000.
     * @default 1000
     */
    stickyTimeout?: number | undefined;
    /**
     * One processor for each worker in turn, or the processors of the first, second, ... worker.
     * @default all that the primary may run on
     */
    affinity?: 'spread' | number[][] | undefined;
  }
}

export = rcluster;
