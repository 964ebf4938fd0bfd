// The types of `rcluster/child_process`: everything of `node:child_process`.

export * from 'node:child_process';
