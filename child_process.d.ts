// The types of `rcluster/child_process`: everything of `node:child_process`, and what Node has not.

import type { SendHandle, Serializable } from 'node:child_process';

export * from 'node:child_process';

/** Infinity is no limit either. */
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
  hard?: ResourceLimit;
}

export type IoClass = 'realtime' | 'best-effort' | 'idle';

/** What `killTree` has done. */
export interface KillTreeResult {
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
  /** Milliseconds after which an answer is no longer waited for. */
  timeout?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Bytes; no limit unless given. */
export interface ChannelLimits {
  /** Of one message, sent or received. */
  messageSize?: number | undefined;
  /** That wait to be sent. */
  queueSize?: number | undefined;
}

/** What a message channel has whose two ends have loaded rcluster. */
export interface Asking {
  /** Asks the other end; rejects with its error, or when it has gone. */
  request(message: Serializable, options?: RequestOptions): Promise<any>;
  /** Answers requests of the other end; `null` takes the handler away. */
  onRequest(handler: ((message: any) => unknown) | null): void;
  /** The messages of the other end, read no faster than they are used, until the channel is closed. */
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
      /** Asks the parent; where that is not rcluster, this rejects and its like throw. */
      request?: Asking['request'];
      onRequest?: Asking['onRequest'];
      messages?: Asking['messages'];
    }
  }
}

declare module 'node:child_process' {
  interface MessageOptions {
    /** Call the callback once the other end has dispatched the message, not once it is written. */
    ack?: boolean | undefined;
  }

  interface Control {
    /** What messages go by. */
    readonly transport?: 'wire' | 'ring';
    setLimits?(limits: ChannelLimits): void;
  }

  // Options of every function that starts a child. All are set in the child before its exec.
  interface ProcessEnvOptions {
    /** Supplementary groups. */
    groups?: number[] | undefined;
    /** Kill the child when the thread that started it ends. */
    dieWithParent?: boolean | undefined;
    /** One value for the soft and the hard limit, or each of them. */
    rlimits?: Partial<Record<ResourceLimitName, ResourceLimit | SoftAndHard>> | undefined;
    /** Scheduling niceness, -20 to 19. */
    nice?: number | undefined;
    /** I/O priority: a class, or a class and a level from 0 to 7. */
    ionice?: IoClass | { class: IoClass; level?: number } | undefined;
    /** The processor or processors that the child may run on. */
    affinity?: number | number[] | undefined;
    /** How readily the kernel kills it when memory is short, -1000 to 1000. */
    oomScoreAdj?: number | undefined;
    umask?: number | string | undefined;
    /** The cgroup it runs in: a path, taken from /sys/fs/cgroup where it is relative. */
    cgroup?: string | undefined;
    /** Close every descriptor that `stdio` does not name. */
    closeFds?: boolean | undefined;
    /** `kill()` and `timeout` reach the child's descendants too. */
    killTree?: boolean | undefined;
    /** Milliseconds after which a child that was sent a signal and lives on is killed. */
    killAfter?: number | undefined;
    /** Milliseconds to wait after the exit for streams that a descendant holds open. */
    closeGrace?: number | undefined;
  }

  interface ChildProcess {
    /** Signals the child and all its descendants. */
    killTree(signal?: NodeJS.Signals | number): KillTreeResult;
    /** What the child has used; `undefined` if that is not known. */
    resourceUsage(): ChildResourceUsage | undefined;
    request: Asking['request'];
    onRequest: Asking['onRequest'];
    messages: Asking['messages'];
  }
}
