// The types of `rcluster/pool`: Piscina's names, and what is beyond them.

import { EventEmitterAsyncResource } from 'node:events';
import { type ResourceLimits, type Transferable, type Worker, type WorkerOptions } from 'node:worker_threads';

/** The class is the module; the types are its namespace. */
declare class Pool<T = any, R = any> extends EventEmitterAsyncResource {
  /** A wrong option throws a TypeError, `minThreads` above `maxThreads` a RangeError, in Piscina's words. */
  constructor(options?: Pool.Options);

  /**
   * Runs a task in one of the threads, and resolves to what the function returned. Rejects with what it threw; with an
   * `AbortError` where `signal` was aborted; with a `TimeoutError`, code `ERR_RCLUSTER_TASK_TIMEOUT`, after `timeout`; with
   * `ERR_RCLUSTER_THREAD_EXITED` where its thread has ended; and with 'Task queue is at limit', or 'No task queue available
   * and all Workers are busy', beyond `maxQueue`.
   */
  run<Result = R>(task: T, options?: Pool.RunOptions): Promise<Result>;

  /**
   * Runs a task for each value, `concurrency` of them at a time (twice the capacity unless given). The results are
   * in the order of the values. The first failure ends it.
   */
  map<Value extends T = T, Result = R>(
    iterable: Iterable<Value> | AsyncIterable<Value>,
    options?: Pool.MapOptions,
  ): Promise<Result[]>;

  /** Runs a task once on every thread there is, beside what waits. Rejects with the first failure. */
  broadcast<Result = R>(task: T, options?: Pool.BroadcastOptions): Promise<Result[]>;

  /**
   * Waits for all tasks, `closeTimeout` at most, then ends all threads. With `force`, tasks for which no thread has room are
   * rejected. Never rejects itself; an 'error' event says that the time was over.
   */
  close(options?: Pool.CloseOptions): Promise<void>;

  /** Ends all threads. Tasks that have not finished are rejected. */
  destroy(): Promise<void>;

  /** As `close()`. */
  [Symbol.asyncDispose](): Promise<void>;
  /** As `close()`, without waiting for it. */
  [Symbol.dispose](): void;

  /** All options, with their defaults. */
  readonly options: Pool.FilledOptions;
  readonly minThreads: number;
  readonly maxThreads: number;
  /** The workers. With `runtime: 'process'` they have the same methods, and `process`. */
  readonly threads: Worker[];
  /** Threads with nothing to do. */
  readonly idleThreads: number;
  /** Tasks that wait. */
  readonly queueSize: number;
  /** Tasks that have ended, one way or the other. */
  readonly completed: number;
  /** Milliseconds since the pool was made. */
  readonly duration: number;
  /** The share, 0 to 1, of the time that all threads could have worked in which they did; 0 without `recordTiming`. */
  readonly utilization: number;
  /** Whether all threads are busy. `drain` says when that is over. */
  readonly needsDrain: boolean;
  /** How long tasks ran and waited. */
  readonly histogram: Pool.Histogram;
  /** As `histogram.runTime` and `histogram.waitTime`. */
  readonly runTime: Pool.HistogramSummary | undefined;
  readonly waitTime: Pool.HistogramSummary | undefined;
  /** Figures since the pool was made. */
  readonly metrics: Pool.Metrics;

  on(event: 'drain' | 'needsDrain' | 'close', listener: () => void): this;
  on(event: 'message', listener: (message: any) => void): this;
  on(event: 'error', listener: (error: Error) => void): this;
  on(event: 'workerCreate' | 'workerDestroy', listener: (worker: Pool.PoolWorker) => void): this;
  on(event: string | symbol, listener: (...args: any[]) => void): this;
}

declare namespace Pool {
  export { Pool, Pool as Piscina };

  /** Whether this is a thread of a pool. */
  export const isWorkerThread: boolean;
  /** In a thread of a pool, its `workerData`. */
  export const workerData: any;
  export const version: string;
  /** On an object: what of it is transferred. */
  export const transferableSymbol: unique symbol;
  /** On an object: what is sent in its place. */
  export const valueSymbol: unique symbol;
  /** On a task: what a `taskQueue` of yours gets to see of it. */
  export const queueOptionsSymbol: unique symbol;

  /** Marks a value so that, as a task or as a result, it is transferred and not copied. */
  export function move<V>(value: V): V;

  export class FixedQueue implements TaskQueue {
    readonly size: number;
    isEmpty(): boolean;
    shift(): Task | null;
    push(task: Task): void;
    unshift(task: Task): void;
    remove(task: Task): void;
  }

  export class ArrayTaskQueue implements TaskQueue {
    readonly size: number;
    tasks: Task[];
    shift(): Task | null;
    push(task: Task): void;
    unshift(task: Task): void;
    remove(task: Task): void;
  }

  export interface Options {
    /** Path or file URL of the module with the function; CommonJS or an ES module. */
    filename?: string | null;
    /** The export that is the function. Default: 'default'. */
    name?: string;
    /** How many threads there are at least. Default: half as many as processors, 1 at least. */
    minThreads?: number;
    /** How many there are at most. Default: one and a half times as many as processors. */
    maxThreads?: number;
    /** Milliseconds after which an idle thread beyond `minThreads` ends. Default: 0. */
    idleTimeout?: number;
    /** How many tasks may wait; 'auto' is the square of `maxThreads`. Default: Infinity. */
    maxQueue?: number | 'auto';
    /** How many tasks a thread has under way at once. Default: 1. */
    concurrentTasksPerWorker?: number;
    /** Taken for compatibility. Threads wait on their event loops, whatever it is. */
    atomics?: 'sync' | 'async' | 'disabled';
    /** Of each thread, in MB: as of `new Worker()`. Without effect on processes. */
    resourceLimits?: ResourceLimits;
    /** Of each thread or process: its `process.argv` from the third on. */
    argv?: string[];
    /** Arguments for Node, of each thread or process. */
    execArgv?: string[];
    /** Of each thread or process. Default: `process.env`. */
    env?: WorkerOptions['env'];
    /** What threads find as `workerData` of this module. */
    workerData?: any;
    /** A queue of your own. Other than with the two that come with the pool, JavaScript gives out the tasks then. */
    taskQueue?: TaskQueue;
    /** By how much lower the priority of the threads is, in steps of `nice`. Default: 0. */
    niceIncrement?: number;
    /** As of `new Worker()`. Default: true. */
    trackUnmanagedFds?: boolean;
    /** Milliseconds that `close` waits for tasks. Default: 30,000. */
    closeTimeout?: number;
    /** Whether `histogram` and `utilization` have something to say. Default: true. */
    recordTiming?: boolean;
    /** With a `taskQueue` or `loadBalancer` of your own: a task that no thread would take keeps its place. Default: false. */
    stricterFIFO?: boolean;
    /** Chooses the thread for a task; JavaScript gives out the tasks then. */
    loadBalancer?: LoadBalancer;
    /** Whether a `PoolWorker` has a `histogram` of its own. Default: false. */
    workerHistogram?: boolean;
    /** Threads, or forked processes. Default: 'thread'. */
    runtime?: 'thread' | 'process';
    /** When a thread is replaced, its replacement first. Default: never. */
    recycle?: RecycleOptions;
  }

  export interface RecycleOptions {
    /** After so many tasks. */
    tasks?: number;
    /** After so many milliseconds, at the end of a task. */
    age?: number;
    /** When its heap has so many bytes in use. */
    heap?: number;
  }

  export interface FilledOptions extends Options {
    filename: string | null;
    name: string;
    minThreads: number;
    maxThreads: number;
    idleTimeout: number;
    maxQueue: number;
    concurrentTasksPerWorker: number;
    taskQueue: TaskQueue;
    niceIncrement: number;
    closeTimeout: number;
    recordTiming: boolean;
    stricterFIFO: boolean;
    workerHistogram: boolean;
    runtime: 'thread' | 'process';
  }

  export interface RunOptions {
    /** What of the task is transferred, not copied. */
    transferList?: readonly Transferable[] | undefined;
    /** In the place of the pool's own. */
    filename?: string | null;
    /** In the place of the pool's own. */
    name?: string | null;
    /** Ends the task, and its thread if it runs. */
    signal?: AbortSignal | { once(name: 'abort', listener: () => void): unknown } | null;
    /**
     * A whole number from -1,000,000 to 1,000,000; above 0 goes first. One unit is worth having been submitted 100 ms
     * earlier, so that nothing starves. Default: 0.
     */
    priority?: number;
    /** Milliseconds from this call after which the task is ended, and its thread if it runs. Default: none. */
    timeout?: number;
  }

  export interface MapOptions extends RunOptions {
    /** So many values at a time. Default: twice `maxThreads` times `concurrentTasksPerWorker`. */
    concurrency?: number;
  }

  export type BroadcastOptions = Pick<RunOptions, 'filename' | 'name'>;

  export interface CloseOptions {
    /** Default: false. */
    force?: boolean;
  }

  export interface Task {
    readonly taskId: number;
    readonly filename: string;
    readonly name: string;
    /** Milliseconds, of `performance.now()`. */
    readonly created: number;
    readonly isAbortable: boolean;
  }

  export interface TaskQueue {
    readonly size: number;
    shift(): Task | null;
    remove(task: Task): void;
    push(task: Task): void;
    unshift?(task: Task): void;
  }

  export interface PoolWorker {
    /** Its thread's number. */
    readonly id: number;
    /** How many tasks it has. */
    readonly currentUsage: number;
    readonly isRunningAbortableTask: boolean;
    /** With `workerHistogram`. */
    readonly histogram: HistogramSummary | null;
    readonly terminating: boolean;
    readonly destroyed: boolean;
  }

  /** The thread for a task, or none: then it waits. */
  export type LoadBalancer = (task: Task, workers: PoolWorker[]) => PoolWorker | null | undefined;

  /** In milliseconds. */
  export type HistogramSummary = Record<
    | (
        | 'average'
        | 'mean'
        | 'stddev'
        | 'min'
        | 'max'
        | 'p0_001'
        | 'p0_01'
        | 'p0_1'
        | 'p1'
        | 'p2_5'
        | 'p10'
        | 'p25'
      )
    | ('p50' | 'p75' | 'p90' | 'p97_5' | 'p99' | 'p99_9' | 'p99_99' | 'p99_999'),
    number
  >;

  export interface Histogram {
    readonly runTime: HistogramSummary | undefined;
    readonly waitTime: HistogramSummary | undefined;
    resetRunTime(): void;
    resetWaitTime(): void;
  }

  export interface Metrics {
    /** Tasks that have ended, one way or the other. */
    readonly completed: number;
    /** Those of them that were rejected; without those that were aborted or out of time. */
    readonly failed: number;
    readonly aborted: number;
    readonly timedOut: number;
    /** Tasks that have not ended. */
    readonly inFlight: number;
    /** Tasks that no thread has taken. */
    readonly queued: number;
    /** Those there are, and those of them that have started. */
    readonly threads: number;
    readonly readyThreads: number;
    /** Since the pool was made: all, those that ended by themselves, those that `recycle` has replaced. */
    readonly threadsStarted: number;
    readonly threadsCrashed: number;
    readonly threadsRecycled: number;
    /** Tasks taken from the queue, and in how many batches. */
    readonly taken: number;
    readonly batches: number;
    /** Tasks a thread has taken back from another. */
    readonly stolen: number;
  }

  /** A task whose thread has ended is rejected with this. */
  export interface ThreadExitedError extends Error {
    code: 'ERR_RCLUSTER_THREAD_EXITED';
    exitCode: number | null;
    signal?: string | null;
    threadId: number;
    taskId: number;
  }
}

export = Pool;
