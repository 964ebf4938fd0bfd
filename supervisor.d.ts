/// <reference types="node" />

import type { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';

import type cluster from './index.js';

/** Bytes, also as text: `'512mb'`. */
export type Bytes = number | string;

/** The extras of `rcluster/child_process` that are set in each worker before it starts. */
type Extras = Pick<
  cluster.WorkerExtras,
  'rlimits' | 'nice' | 'ionice' | 'oomScoreAdj' | 'umask' | 'groups' | 'cgroup' | 'closeFds'
>;

/**
 * Times are in milliseconds. An option of a wrong type or out of range throws as in Node (`ERR_INVALID_ARG_TYPE`,
 * `ERR_OUT_OF_RANGE`), an unknown one `ERR_RCLUSTER_OPTION`, a script that is not there `ERR_RCLUSTER_NO_SCRIPT`.
 */
export interface SupervisorOptions extends Extras {
  /** The program, as Node would be given it. A symbolic link is followed anew with each reload. */
  exec: string;
  /** Its arguments; none by default. */
  args?: readonly string[];
  /** How many workers, 1 to 1,024; `'max'`, the default, is `cluster.availableParallelism()`. */
  instances?: 'max' | number;
  /** For messages and metrics; by default that of the file. */
  name?: string;
  /** The workers' directory; by default this process's own, by the name it was started with. */
  cwd?: string;
  /**
   * Variables beyond this process's own; a function is called for the start and for each reload. `NODE_APP_INSTANCE`, the
   * place counted from 0, is set where this does not set it.
   */
  env?: Record<string, string | undefined> | (() => Record<string, string | undefined>);
  /** A file of NAME=value lines, read for the start and for each reload. */
  envFile?: string;
  /** Arguments for Node; none by default. */
  execArgv?: readonly string[];
  /** Which ends are followed by a new start: all, failures, none. By default `'permanent'`. */
  restart?: 'permanent' | 'transient' | 'temporary';
  /** So many restarts of one worker within `period` are borne; one more gives it up. By default 5. */
  intensity?: number;
  /** For how long a restart counts. By default 30,000. */
  period?: number;
  /** The same for all workers together: one more and the application is given up. By default `intensity` times `instances`. */
  appIntensity?: number;
  /**
   * How long to wait before a restart: `min` (100 ms), each time longer by `factor` (2), up to `max` (10,000 ms), each by as
   * much more or less as `jitter` says (0.2). A first failure of what worked is not waited after.
   */
  backoff?: { min?: number; max?: number; factor?: number; jitter?: number };
  /** What a worker may take to end, before it and all it started is killed. By default 30,000. */
  stopTimeout?: number;
  /** How long a stop goes on serving after readiness is off. By default 0. */
  drainDelay?: number;
  /** How long an idle connection that cannot be handed to another worker is left open. By default 5000. */
  idleGrace?: number;
  /** What a new worker may take to be ready. By default 30,000. */
  readyTimeout?: number;
  /**
   * What makes a worker ready: `true` that it calls `ready()`, `'listening'` that it listens (or calls `ready()`),
   * `'online'` that it runs. By default as `'listening'`, but a program that never listens is taken for ready, with a
   * warning, after `readyTimeout`.
   */
  waitReady?: boolean | 'listening' | 'online';
  /**
   * How many workers a reload replaces at once: none of these old ones goes before all of their new ones are ready. By
   * default 1.
   */
  reloadConcurrency?: number;
  /**
   * When a worker is replaced by a new one, which is ready before it goes: after so many `requests`, at an `age` in
   * milliseconds, at so much memory (`rss`, bytes), at so much of V8's heap (`heap`, bytes, or up to 1 a share of its
   * limit). `requests` and `age` are more or less by up to `jitter` (0.1), so that not
   * all go at once. None by default.
   */
  recycle?: { requests?: number; jitter?: number; age?: number; rss?: Bytes; heap?: Bytes };
  /** V8's heap limit, in MiB; V8's own by default. A worker that nears it, at 0.9, is replaced before V8 ends it. */
  maxOldSpaceMb?: number;
  /** How long an event loop may be stuck; 0 for ever. By default 30,000. Not watched under a debugger. */
  hangTimeout?: number;
  /** Whether a worker is well: by a function (false or a throw: it is not), or by a request to its own HTTP server. */
  probe?: ((worker: WorkerStatus) => unknown) | Probe;
  /**
   * By what rule the number of workers, from `min` (1) to `max` (`cluster.availableParallelism()`), follows the use of their
   * event loops, 0 to 1: as many as are missing when it has been above `target` (0.7) for `upAfter` (5000 ms), one less when
   * that would have been enough for `downAfter` (60,000 ms). None by default.
   */
  scale?: { min?: number; max?: 'max' | number; target?: number; upAfter?: number; downAfter?: number };
  /** As `cluster.schedulingPolicy`, which is the default. */
  schedulingPolicy?: number;
  /** As in `cluster.setupPrimary`: `'spread'`, or a list of processors for each worker. */
  affinity?: 'spread' | readonly (number | readonly number[])[];
  /**
   * As in `child_process.fork`; by default the workers write to this process's own output. A function is called before
   * each start.
   */
  stdio?: import('node:child_process').StdioOptions | ((worker: { id: number }) => Output);
  /** The workers' output goes nowhere, unless it is taken by `'worker:stdio'`. By default false. */
  silent?: boolean;
  /** Of messages, as in `child_process.fork`. By default `'json'`. */
  serialization?: 'json' | 'advanced';
  /** The inspector's port, as in `cluster.setupPrimary`. */
  inspectPort?: number | (() => number);
  /** Who the workers run as: needs the right to change it. */
  uid?: number;
  gid?: number;
  /** Without effect on Linux. */
  windowsHide?: boolean;
  /** Whether SIGTERM and SIGINT stop it, and end this process. A second one does so at once. By default true. */
  signals?: boolean;
}

/** Who takes the output of one process over. */
export interface Output {
  stdio: import('node:child_process').StdioOptions;
  /** Called when its descriptors have been passed on, or are not needed. */
  started(): void;
  /** Whether all that it printed to stderr has been read. */
  isRead(): boolean;
  /** The end of that. */
  tail(): string;
}

/**
 * What `rcluster.config.js` exports: the options of `supervise()`, `exec` perhaps being on the command line, and those of
 * the command. Relative paths begin at the file's directory.
 */
export interface Config extends Partial<Omit<SupervisorOptions, 'schedulingPolicy' | 'signals'>> {
  /** The same as `instances`. */
  workers?: 'max' | number;
  /** The same as `exec`. */
  script?: string;
  /** By name, or as `cluster.schedulingPolicy`. */
  schedulingPolicy?: 'rr' | 'none' | 'least-conn' | 'least-load' | 'sticky' | 'reuseport' | number;
  /** Where health, metrics and the status page are served: HOST:PORT, a port on loopback, or unix:PATH. By default nowhere. */
  http?: string | number | false;
  /** The control socket; by default found from the working directory. False for none. */
  control?: string | false;
  /** How a line that a worker prints looks; by default `'prefix'`. With `'inherit'` it goes to the terminal as it is. */
  logFormat?: 'prefix' | 'plain' | 'json' | 'inherit';
  /** Whether a prefix begins with the time. By default false. */
  logTime?: boolean;
  /** What workers print goes to this file; SIGUSR1 opens it anew. By default to this process's own output. */
  logFile?: string;
  /** What they print to stderr, if not there too. */
  errorFile?: string;
}

/** The config as it is: for its type. */
export function defineConfig(config: Config): Config;

/** Either `fn` or `http`; times in milliseconds. */
export interface Probe {
  /** Well unless it gives false, or throws. */
  fn?: (worker: WorkerStatus) => unknown;
  /** A path; 200 to 399 is well. */
  http?: string;
  /** Which of the worker's servers; by default its first. */
  port?: number;
  /** From one probe to the next. By default 10,000. */
  interval?: number;
  /** How long an answer may take. By default 2000. */
  timeout?: number;
  /** After so many failures in a row a worker is replaced. By default 3. */
  failures?: number;
}

/**
 * `'starting'` until it is ready; `'draining'` from when it is told to end; `'stopping'` when it is killed; `'hung'` when its event
 * loop is stuck; `'backoff'` while its place waits for the next start; `'stopped'` once it has ended.
 */
export type WorkerState = 'starting' | 'ready' | 'draining' | 'stopping' | 'backoff' | 'stopped' | 'hung';

export interface WorkerStatus {
  /** Its place, from 1; the same for whoever comes after it. */
  id: number;
  /** Its number in the cluster. */
  workerId: number | undefined;
  pid: number | undefined;
  state: WorkerState;
  /** Of this place. */
  restarts: number;
  /** Milliseconds. */
  uptime: number;
  /** Milliseconds since 1970, as `readyAt` and `nextStart`. */
  startedAt: number | undefined;
  readyAt: number | undefined;
  /** Of the code: each reload makes a new one. */
  generation: number;
  /** As `worker.load`. */
  load: cluster.WorkerLoad | undefined;
  /** Of whoever had the place before. */
  lastExit: Exit | undefined;
  /** When the next start is due, in back-off. */
  nextStart?: number;
  /** Whether it leads. */
  leader: boolean;
  /** Why it ends, or is not there. */
  why: string | undefined;
}

export interface Exit {
  pid: number | undefined;
  code: number | null;
  signal: string | null;
  /** In one line. */
  reason: string;
  /** Milliseconds. */
  uptime: number;
  /** Milliseconds since 1970. */
  at: number;
  /** The last 8 KiB that it wrote there, if stderr is a pipe. */
  stderr: string;
  /** It was told to end. */
  wished: boolean;
}

export interface SupervisorStatus {
  name: string;
  pid: number;
  state: SupervisorState;
  /** As `isReady`. */
  ready: boolean;
  /** How many workers there are to be. */
  instances: number;
  /** Milliseconds. */
  uptime: number;
  /** Of all workers, since the start. */
  restarts: number;
  /** Those that succeeded. */
  reloads: number;
  /** From 1; each reload that is tried makes another. */
  generation: number;
  /** The script, its symbolic links followed. */
  exec: string;
  workers: WorkerStatus[];
}

export type SupervisorState = 'starting' | 'running' | 'reloading' | 'stopping' | 'stopped';

/** Times in seconds, memory in bytes. */
export interface UsageMetrics {
  /** Processor time since its start. */
  cpu: { user: number; system: number };
  rss: number;
  /** Its share of the memory that it has in common with others; with `metrics({ pss: true })`. */
  pss?: number;
  /** As of `v8.getHeapStatistics()`, told once a second. */
  heap: { used: number; total: number; limit: number; external: number };
  /** `utilization`: 0 to 1. `delay`: by how much later than planned the event loop turns. */
  eventLoop: { utilization: number; delay: { mean: number; p50: number; p99: number; max: number } };
  /** Garbage collections, and the time they took. */
  gc: { count: number; time: number };
  /** `pending`: on their way to it. */
  connections: { open: number; total: number; pending: number };
  requests: { total: number; active: number };
}

export interface WorkerMetrics extends UsageMetrics {
  /** Its place, from 1. */
  id: number;
  pid: number | undefined;
  state: string;
  generation: number;
  uptime: number;
  /** Of its place. */
  restarts: number;
  /** Milliseconds since its event loop turned. */
  silentFor: number;
}

export interface Metrics {
  /** Milliseconds since 1970. */
  time: number;
  /** The supervisor's own process, times in seconds, memory in bytes; what happened since its start; workers by state. */
  supervisor: {
    pid: number;
    uptime: number;
    cpu: { user: number; system: number };
    rss: number;
    heapUsed: number;
    restarts: number;
    reloads: number;
    hangs: number;
    giveUps: number;
    recycles: number;
    workers: Record<WorkerState, number>;
  };
  workers: WorkerMetrics[];
  /** In sum, those of ended workers included where they only grow; the worst delay, the mean utilization. */
  total: UsageMetrics;
}

/** A worker, or the application, that is not started again. */
export interface GiveUp {
  scope: 'worker' | 'app';
  /** The place of the one that ended last. */
  worker: number;
  /** In one line. */
  reason: string;
  exit: Exit;
  /** The same as `exit.stderr`. */
  stderr: string;
  /** So many were borne, within so many milliseconds. */
  restarts: number;
  period: number;
}

/** What is worth a line in a log. Further properties are those of the event. */
export interface LogLine {
  level: 'info' | 'warn' | 'error';
  event: string;
  message: string;
  name: string;
  [key: string]: unknown;
}

interface SupervisorEvents {
  'worker:start': [WorkerStatus];
  'worker:ready': [WorkerStatus];
  'worker:exit': [WorkerStatus, Exit];
  /**
   * `silentFor`: milliseconds; `stack`: where its JavaScript is, or where in the kernel it waits; `state`: of its process, as in
   * proc(5).
   */
  'worker:hung': [WorkerStatus, { silentFor: number; stack: string | undefined; state: string }];
  /** Whoever listens reads the streams. */
  'worker:stdio': [WorkerStatus, { stdout: Readable | null; stderr: Readable | null }];
  /** It is started again in `delay` milliseconds. */
  restart: [WorkerStatus, { delay: number; reason: string; exit: Exit }];
  /** It is replaced, as `value` has reached `limit`. */
  recycle: [
    WorkerStatus,
    { reason: 'requests' | 'age' | 'rss' | 'heap' | 'probe'; value: number; limit: number },
  ];
  /**
   * `replaced`: how many run the new release; `rolledBack`: how many did, and run the old one again; `duration`:
   * milliseconds.
   */
  reload: [{ ok: boolean; replaced: number; rolledBack: number; duration: number; error?: Error }];
  giveUp: [GiveUp];
  /** `utilization`: that by which a rule has decided, 0 to 1. */
  scale: [{ from: number; to: number; by: 'hand' | 'rule'; utilization?: number }];
  state: [SupervisorState];
  /** `isReady` has become true, or false. */
  ready: [];
  unready: [];
  /** The place of the worker that leads from now on. */
  leader: [number | undefined];
  stopping: [{ signal?: string }];
  stopped: [Stopped];
  log: [LogLine];
}

export interface Stopped {
  /** `'finished'`: all workers have ended and are not started again. `'giveUp'` has an `error`, `ERR_RCLUSTER_GIVE_UP`. */
  reason: 'stop' | 'giveUp' | 'finished';
  error?: Error;
}

/** Starts an application in workers, and looks after them. */
export interface Supervisor extends EventEmitter<SupervisorEvents> {
  /** All workers have been ready. Rejects on a give-up (`ERR_RCLUSTER_GIVE_UP`) or a stop (`ERR_RCLUSTER_STOPPED`) before. */
  readonly started: Promise<void>;
  /** All has ended. Never rejects. */
  readonly stopped: Promise<Stopped>;
  readonly state: SupervisorState;
  /** For a readiness check: a worker is ready, and it does not stop. */
  readonly isReady: boolean;
  /** For a liveness check: it has not stopped. */
  readonly isLive: boolean;
  readonly name: string;
  readonly options: Readonly<Record<string, any>>;
  /** How many workers there are to be. */
  readonly instances: number;
  /** One for each process, and for each place that waits for one. During a replacement two share an id. */
  readonly workers: WorkerStatus[];
  status(): SupervisorStatus;
  /**
   * Replaces all workers, with code and environment read anew; each new one is ready before the old one goes. Where a
   * new one fails the old ones go on, those replaced so far are put back if what they were started with has changed, and
   * it rejects with `ERR_RCLUSTER_RELOAD`, with `reason`, `stderr`, `replaced` and `rolledBack`; where all is stopped
   * meanwhile, with `ERR_RCLUSTER_STOPPED`. `duration` is in milliseconds.
   */
  reload(changes?: {
    env?: Record<string, string>;
    exec?: string;
    args?: string[];
  }): Promise<{ replaced: number; duration: number }>;
  /** Replaces one worker, or all, with the code that runs. One that was given up gets another chance. */
  restart(id?: number): Promise<void>;
  /**
   * Has so many workers run, 1 to 1,024; resolves to the number when the new ones are ready and the surplus has ended.
   * Rejects with `ERR_RCLUSTER_GIVE_UP` or `ERR_RCLUSTER_STOPPED` where they do not become ready.
   */
  scale(count: number): Promise<number>;
  /**
   * Has all workers finish what they have begun, and end. `timeout` and `drainDelay`: milliseconds, in the place of
   * `stopTimeout` and `drainDelay`; `force`: kills them instead. Resolves when all have ended.
   */
  stop(options?: { timeout?: number; drainDelay?: number; force?: boolean; signal?: string }): Promise<void>;
  /** Kills all workers and all they started, at once. */
  kill(): void;
  /** Sends a message to all workers; to how many it was sent. */
  broadcast(message: unknown): number;
  /**
   * Asks one worker, which answers by `answer()`. `timeout` is 2000 (milliseconds) by default. Rejects with the handler's
   * error, `ERR_RCLUSTER_REQUEST_TIMEOUT`, `ERR_RCLUSTER_NO_HANDLER` where nothing answers that question, or
   * `ERR_RCLUSTER_NO_WORKER` where the worker does not run or has ended.
   */
  ask(id: number, question: string, payload?: unknown, options?: { timeout?: number }): Promise<any>;
  /** What workers and supervisor use; no worker is asked. `pss` takes the kernel some milliseconds a worker. */
  metrics(options?: { pss?: boolean }): Metrics;
  /** The values that workers share, here without a wait. */
  readonly store: {
    get(key: string): any;
    has(key: string): boolean;
    set(key: string, value: unknown, options?: { ttl?: number }): void;
    delete(key: string): boolean;
    keys(): string[];
    entries(): [string, any][];
  };
  /** The place of the worker that leads. */
  readonly leader: number | undefined;
  /** As `stop()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts an application in workers. Throws what `SupervisorOptions` says, and `ERR_RCLUSTER_UNSUPPORTED` without the engine. */
export function supervise(options: SupervisorOptions): Supervisor;
/** The options with their defaults, checked as `supervise` does, without starting anything. */
export function checkOptions(options: unknown): Readonly<Record<string, any>>;
/** Names of the options of `supervise()`. */
export const optionNames: readonly string[];

/** What hooks are told: why, until when (milliseconds since 1970), and a signal that is aborted then. */
export interface Ending {
  reason: string;
  deadline: number;
  signal: AbortSignal;
}

/** Tells the supervisor that this worker can work. Nothing happens in a process that has none. */
export function ready(): void;
/** Has a function called as soon as this process begins to end: for WebSockets and other long connections. */
export function onDrain(hook: (ending: Ending) => unknown): void;
/**
 * Has a function called before this process ends, once its connections have; the last one first. A process without a
 * supervisor ends in this way on SIGTERM and SIGINT.
 */
export function onShutdown(hook: (ending: Ending) => unknown): void;
/**
 * Ends this process as a supervisor would: finishes what has begun, runs the hooks, exits. `timeout` is 30,000 (milliseconds)
 * and `code` 0 by default.
 */
export function drain(options?: { reason?: string; timeout?: number; code?: number }): Promise<void>;
/**
 * Has a registry of prom-client's served by the supervisor's `/metrics`, merged with those of the other workers. The
 * default registry is, without being named.
 */
export function exposeMetrics(registry: { getMetricsAsJSON(): unknown }): void;
/** Answers `supervisor.ask()`; the last one for a question holds. */
export function answer(question: string, answer: (payload: any) => unknown): void;
/** Whether a supervisor has started this process. */
export const isSupervised: boolean;
/** Whether this process has begun to end. */
export const isDraining: boolean;
/** This worker's place, from 1. Programs that do not load this find it, from 0, in `NODE_APP_INSTANCE`. */
export const place: number | undefined;

/**
 * Values that all workers of a supervisor share, kept by the primary as long as that lives. They go as messages
 * (`serialization`). Rejects with `ERR_RCLUSTER_UNSUPERVISED` in a process that has no supervisor, as `lock` does.
 */
export const store: {
  get(key: string): Promise<any>;
  has(key: string): Promise<boolean>;
  /** `ttl` in milliseconds; `ephemeral`: until this worker ends. */
  set(key: string, value: unknown, options?: { ttl?: number; ephemeral?: boolean }): Promise<void>;
  /** Whether there was none. */
  setIfAbsent(key: string, value: unknown, options?: { ttl?: number; ephemeral?: boolean }): Promise<boolean>;
  /** Adds `by`, 1 by default, to what is there, or to 0; the sum. */
  incr(key: string, by?: number): Promise<number>;
  /** Whether there was one. */
  delete(key: string): Promise<boolean>;
  keys(): Promise<string[]>;
  entries(): Promise<[string, any][]>;
};

export interface Lock {
  readonly name: string;
  /** Grows with each lock that is granted: what is guarded can refuse a lower one. */
  readonly token: number;
  readonly isHeld: boolean;
  /** Aborted when the lock is lost, by `ERR_RCLUSTER_LOCK_LOST`. */
  readonly signal: AbortSignal;
  /** Holds it for another lease; false if it is lost. */
  renew(): Promise<boolean>;
  /** Gives it to the next. */
  release(): Promise<void>;
  /** As `release()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Waits for a lock that only one worker has at a time; undefined where it is not to wait. It is renewed by itself unless
 * `renew` is false, and free again when its lease (10,000 ms) runs out or its worker ends. After `timeout` milliseconds, for
 * ever by default, it rejects with `ERR_RCLUSTER_LOCK_TIMEOUT`.
 */
export function lock(
  name: string,
  options?: { lease?: number; timeout?: number; wait?: true; renew?: boolean },
): Promise<Lock>;
export function lock(
  name: string,
  options: { lease?: number; timeout?: number; wait: boolean; renew?: boolean },
): Promise<Lock | undefined>;

/**
 * Whether this worker is the one that leads: for what only one is to do. Never two do: another one is elected when the one
 * before has heard that it leads no more, or has ended.
 */
export const leader: EventEmitter<{ elected: []; deposed: [] }> & { readonly isLeader: boolean };
