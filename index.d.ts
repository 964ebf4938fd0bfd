// The types of `rcluster`: everything of `node:cluster`, plus what rcluster adds. `export =` with properties lets
// `require('rcluster')`, `import cluster from 'rcluster'` and `import { fork } from 'rcluster'` all work.

import type * as node from 'node:cluster';

declare const rcluster: rcluster.Cluster;

declare namespace rcluster {
  /** A clustered child. */
  type Worker = node.Worker;
  type Address = node.Address;
  type ClusterSettings = node.ClusterSettings;

  interface Cluster extends node.Cluster {
    Worker: typeof node.Worker;

    /** True where the native engine runs; false where Node's own modules serve the same exports. */
    readonly native: boolean;

    /** For each function of `child_process` and `cluster`, whose implementation answers it. */
    coverage(): Record<string, 'rcluster' | 'node'>;
  }
}

export = rcluster;
