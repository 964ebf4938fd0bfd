// Every export, in a module that is checked and never run.

import type { ChildProcess } from 'node:child_process';

import cluster, { fork, isPrimary, SCHED_STICKY, type Worker } from 'rcluster';
import { spawn } from 'rcluster/child_process';
import Pool, { move } from 'rcluster/pool';
import 'rcluster/register';

const child: ChildProcess = spawn('true', { dieWithParent: true });
const worker: Worker = fork();
cluster.schedulingPolicy = SCHED_STICKY;
const pool = new Pool({ filename: 'task.js' });
const result: Promise<number> = pool.run(move(new ArrayBuffer(8)));
export { child, isPrimary, result, worker };
