// The types of `rcluster/pool`: Piscina's names, and what is beyond them.

import { EventEmitterAsyncResource } from 'node:events';
import { type ResourceLimits, type Transferable, type Worker, type WorkerOptions } from 'node:worker_threads';

/** The class is the module; the types are its namespace. */
declare class Pool<T = any, R = any> extends EventEmitterAsyncResource {
  constructor(options?: Pool.Options);

  /** Runs a task in one of the threads, and resolves to what the function returned. */
  run<Result = R>(task: T, options?: Pool.RunOptions): Promise<Result>;

  /**
   * Runs a task for each value, `concurrency` of them at a time (twice the capacity unless given). The results are
   * in the order of the values. The first failure ends it.
   */
  map<Value extends T = T, Result = R>(
    iterable: Iterable<Value> | AsyncIterable<Value>,
    options?: Pool.MapOptions,
  ): Promise<Result[]>;

  /** Runs a task once on every thread there is. */
  broadcast<Result = R>(task: T, options?: Pool.BroadcastOptions): Promise<Result[]>;

  /** Waits for all tasks, then ends all threads. With `force`, tasks that have not begun are rejected. */
  close(options?: Pool.CloseOptions): Promise<void>;

  /** Ends all threads. Tasks that have not finished are rejected. */
  destroy(): Promise<void>;

  [Symbol.asyncDispose](): Promise<void>;
  [Symbol.dispose](): void;

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
  /** The share of the time that all threads could have worked in which they did. */
  readonly utilization: number;
  /** Whether all threads are busy. `drain` says when that is over. */
  readonly needsDrain: boolean;
  readonly histogram: Pool.Histogram;
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
    minThreads?: number;
    maxThreads?: number;
    /** Milliseconds after which an idle thread beyond `minThreads` ends. Default: 0. */
    idleTimeout?: number;
    /** How many tasks may wait; 'auto' is the square of `maxThreads`. Default: Infinity. */
    maxQueue?: number | 'auto';
    /** How many tasks a thread has under way at once. Default: 1. */
    concurrentTasksPerWorker?: number;
    /** Taken for compatibility. Threads wait on their event loops, whatever it is. */
    atomics?: 'sync' | 'async' | 'disabled';
    resourceLimits?: ResourceLimits;
    argv?: string[];
    execArgv?: string[];
    env?: WorkerOptions['env'];
    workerData?: any;
    /** A queue of your own. Other than with the two that come with the pool, JavaScript gives out the tasks then. */
    taskQueue?: TaskQueue;
    niceIncrement?: number;
    trackUnmanagedFds?: boolean;
    /** Milliseconds that `close` waits. Default: 30,000. */
    closeTimeout?: number;
    /** Whether `histogram` and `utilization` have something to say. Default: true. */
    recordTiming?: boolean;
    stricterFIFO?: boolean;
    /** Chooses the thread for a task; JavaScript gives out the tasks then. */
    loadBalancer?: LoadBalancer;
    workerHistogram?: boolean;
    /** Threads, or forked processes. Default: 'thread'. */
    runtime?: 'thread' | 'process';
    /** When a thread is replaced, its replacement first. */
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
    transferList?: readonly Transferable[] | undefined;
    filename?: string | null;
    name?: string | null;
    /** Ends the task, and its thread if it runs. */
    signal?: AbortSignal | { once(name: 'abort', listener: () => void): unknown } | null;
    /** Above 0 goes first. One unit is worth having been submitted 100 ms earlier, so that nothing starves. */
    priority?: number;
    /** Milliseconds from this call after which the task is ended, and its thread if it runs. */
    timeout?: number;
  }

  export interface MapOptions extends RunOptions {
    concurrency?: number;
  }

  export type BroadcastOptions = Pick<RunOptions, 'filename' | 'name'>;

  export interface CloseOptions {
    force?: boolean;
  }

  export interface Task {
    readonly taskId: number;
    readonly filename: string;
    readonly name: string;
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
    readonly id: number;
    readonly currentUsage: number;
    readonly isRunningAbortableTask: boolean;
    readonly histogram: HistogramSummary | null;
    readonly terminating: boolean;
    readonly destroyed: boolean;
  }

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
    readonly completed: number;
    readonly failed: number;
    readonly aborted: number;
    readonly timedOut: number;
    readonly inFlight: number;
    /** Tasks that no thread has taken. */
    readonly queued: number;
    readonly threads: number;
    readonly readyThreads: number;
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
