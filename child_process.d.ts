// The types of `rcluster/child_process`: everything of `node:child_process`, and what Node has not.

import type { SendHandle, Serializable } from 'node:child_process';

export * from 'node:child_process';

/** In the units of setrlimit(2): bytes, seconds, a count. `'unlimited'` and Infinity are no limit. */
export type ResourceLimit = number | 'unlimited';

/** Names of resource limits: see getrlimit(2). */
export type ResourceLimitName =
  | 'cpu'
  | 'fsize'
  | 'data'
  | 'stack'
  | 'core'
  | 'rss'
  | 'nproc'
  | 'nofile'
  | 'memlock'
  | 'as'
  | 'locks'
  | 'sigpending'
  | 'msgqueue'
  | 'nice'
  | 'rtprio'
  | 'rttime';

export interface SoftAndHard {
  soft: ResourceLimit;
  /** @default the same as `soft` */
  hard?: ResourceLimit;
}

/** As of ioprio_set(2). `'realtime'` needs the right to it. */
export type IoClass = 'realtime' | 'best-effort' | 'idle';

/** What `killTree` has done. */
export interface KillTreeResult {
  /** The one it was called with. */
  signal: NodeJS.Signals | number;
  /** Processes that the signal has reached. */
  pids: number[];
  /** Processes that it has not, and why. */
  failed: { pid: number; error: NodeJS.ErrnoException }[];
}

/** What a child has used: processor times in microseconds, peak memory in KiB. */
export interface ChildResourceUsage extends Pick<
  NodeJS.ResourceUsage,
  | 'userCPUTime'
  | 'systemCPUTime'
  | 'minorPageFault'
  | 'majorPageFault'
  | 'fsRead'
  | 'fsWrite'
  | 'voluntaryContextSwitches'
  | 'involuntaryContextSwitches'
> {
  /** `undefined` where the kernel has not measured it apart from this process's own peak. */
  maxRSS: number | undefined;
}

export interface RequestOptions {
  /**
   * Milliseconds after which an answer is no longer waited for: it rejects with `ERR_RCLUSTER_REQUEST_TIMEOUT`.
   * @default none: until the channel ends
   */
  timeout?: number | undefined;
  /** When it is aborted, the request rejects with its reason. The handler on the other end is not told. */
  signal?: AbortSignal | undefined;
}

/** Bytes, from 1 to 2 ** 32 - 1; no limit unless given. Each call sets both. */
export interface ChannelLimits {
  /**
   * Of one message. One that is to be sent and has more fails with `ERR_RCLUSTER_MESSAGE_SIZE`, to its callback or as
   * `'error'` event. One that is received and has more ends the channel, with the warning `RCLUSTER_CHANNEL`.
   */
  messageSize?: number | undefined;
  /** That wait to be sent. While there are more, `send` fails with `ERR_RCLUSTER_QUEUE_SIZE`, in the same way. */
  queueSize?: number | undefined;
}

/** What a message channel has whose two ends have loaded rcluster. */
export interface Asking {
  /**
   * Asks the other end. Rejects with the handler's error (its name, message, stack and code), with
   * `ERR_IPC_CHANNEL_CLOSED` when the other end has gone, with `ERR_RCLUSTER_PEER` where it has not loaded rcluster: ten
   * seconds after the channel's start, or after half a second if it is older. Who waits for an answer keeps the process
   * alive.
   */
  request(message: Serializable, options?: RequestOptions): Promise<any>;
  /**
   * Answers requests of the other end; `null` takes the handler away. What comes before there is a handler waits for one. A
   * handler keeps the process alive, as a listener of `'message'` does.
   */
  onRequest(handler: ((message: any) => unknown) | null): void;
  /**
   * The messages of the other end until the channel is closed, read no faster than they are used: with 64 of them waiting,
   * reading pauses. With `handles` each is `{ message, handle }`. Throws the reason of `signal` when that is aborted. What has
   * come and was not asked for when it stops waits for the next listener, unless another has heard it.
   */
  messages(options?: {
    signal?: AbortSignal | undefined;
    handles?: false | undefined;
  }): AsyncGenerator<any, void>;
  messages(options: {
    signal?: AbortSignal | undefined;
    handles: true;
  }): AsyncGenerator<{ message: any; handle: SendHandle | undefined }, void>;
}

declare global {
  namespace NodeJS {
    interface Process {
      /** Asks the parent. Where that has not loaded rcluster, this rejects with `ERR_RCLUSTER_PEER`, and its like throw it. */
      request?: Asking['request'];
      onRequest?: Asking['onRequest'];
      messages?: Asking['messages'];
    }
  }
}

// Declared on Node's own module, since `rcluster/register` puts them there, and so that one type of a child serves
// programs that mix both. A child that Node's own engine has started has neither the methods nor the options.
declare module 'node:child_process' {
  interface MessageOptions {
    /**
     * Call the callback once the other end has dispatched the message, not once it is written; with an error if the channel
     * ends before: `ERR_RCLUSTER_PEER` where the other end has not loaded rcluster, else `ERR_IPC_CHANNEL_CLOSED`.
     * @default false
     */
    ack?: boolean | undefined;
  }

  interface Control {
    /** What messages go by: the socket, or memory that both ends share. Who looks at it wishes for the memory. */
    readonly transport?: 'wire' | 'ring';
    /** Bounds messages and what waits to be sent. Out of range: `ERR_OUT_OF_RANGE`. */
    setLimits?(limits: ChannelLimits): void;
  }

  /**
   * Options of every function that starts a child.
   *
   * A wrong value throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE` before anything runs.
   * What the kernel or missing rights forbid ends the spawn: an `'error'` event (in the synchronous functions,
   * `result.error`) with the kernel's `code`, the `syscall` that was refused, and the option in its message. Where the
   * engine does not run, each of them throws `ERR_RCLUSTER_UNSUPPORTED`.
   */
  interface ProcessEnvOptions {
    /**
     * Supplementary groups, by number. Needs the right to set them.
     * @default this process's own; none where `uid` or `gid` is given, as in Node
     */
    groups?: number[] | undefined;
    /**
     * Kill the child with SIGKILL when this process ends, however it ends. A thread that has started the child may
     * end before. A program that changes its user by its own set-uid bit escapes.
     * @default false
     */
    dieWithParent?: boolean | undefined;
    /**
     * Resource limits as of setrlimit(2), in its units (bytes, seconds, a count). One value for the soft and the hard
     * limit, or each of them; `Infinity` or `'unlimited'` for none. To raise a hard limit needs the right to.
     * @example { nofile: 1024, core: 0, as: { soft: 2 ** 30, hard: 'unlimited' } }
     */
    rlimits?: Partial<Record<ResourceLimitName, ResourceLimit | SoftAndHard>> | undefined;
    /**
     * Scheduling niceness, from -20 (first) to 19 (last). Below this process's own needs the right to it (`EACCES`).
     * @default this process's own
     */
    nice?: number | undefined;
    /**
     * I/O priority: a class, or a class and a level from 0 (first) to 7; 4 unless given.
     * @default this process's own
     */
    ionice?: IoClass | { class: IoClass; level?: number } | undefined;
    /**
     * The processor or processors, by number from 0, that the child may run on. `EINVAL` where there is none of them.
     * @default this process's own
     */
    affinity?: number | number[] | undefined;
    /**
     * How readily the kernel kills it when memory is short, from -1000 (never) to 1000 (first). Below this process's
     * own needs the right to it (`EACCES`).
     * @default this process's own
     */
    oomScoreAdj?: number | undefined;
    /**
     * File mode creation mask, as a number up to 0o777 or as octal text.
     * @default this process's own
     */
    umask?: number | string | undefined;
    /**
     * The cgroup (version 2) it starts in: a path, taken from /sys/fs/cgroup where it is relative. It must exist (`ENOENT`),
     * and writing to it needs the right to (`EACCES`).
     * @default this process's own
     */
    cgroup?: string | undefined;
    /**
     * Close every descriptor in the child that `stdio` does not name, also those that other code has left inheritable.
     * @default false
     */
    closeFds?: boolean | undefined;
    /**
     * `kill()`, `timeout`, `signal` and `killAfter` reach the child's descendants too, and daemons among them are
     * found: the environment variable `RCLUSTER_TREE` marks them.
     * @default false
     */
    killTree?: boolean | undefined;
    /**
     * Milliseconds from a signal that was sent to SIGKILL, for a child that has not ended by then. No effect in the
     * synchronous functions.
     * @default none: SIGKILL does not follow
     */
    killAfter?: number | undefined;
    /**
     * Milliseconds after `'exit'` at which streams that a descendant still holds open are closed on this side, so that
     * `'close'` and the callbacks of `exec` and `execFile` come. No effect in the synchronous functions.
     * @default none: `'close'` waits, as in Node
     */
    closeGrace?: number | undefined;
  }

  interface ChildProcess {
    /**
     * Signals the child and all its descendants, again while new ones appear: those that made a group or session of
     * their own, those whose parents have died, and with the option `killTree` daemons too. Each is held by a pidfd
     * while it is signalled, so that a pid used anew is never hit.
     * @param signal SIGTERM unless given; 0 only asks. An unknown one throws `ERR_UNKNOWN_SIGNAL`.
     * @returns who got it and who could not be signalled; nobody for a child that has ended
     */
    killTree(signal?: NodeJS.Signals | number): KillTreeResult;
    /**
     * What the child has used: so far, while it runs; in all, once it has ended. `undefined` for a child that has not
     * been started, or that has ended before anything was known.
     */
    resourceUsage(): ChildResourceUsage | undefined;
    request: Asking['request'];
    onRequest: Asking['onRequest'];
    messages: Asking['messages'];
  }
}
