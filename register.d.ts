// `rcluster/register` has a side effect only: it puts rcluster behind Node's `child_process` and `cluster`.

export {};
