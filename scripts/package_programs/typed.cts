// The same in CommonJS.

import cluster = require('rcluster');
import childProcess = require('rcluster/child_process');
import Pool = require('rcluster/pool');
import 'rcluster/register';

const child: childProcess.ChildProcess = childProcess.spawn('true', { killTree: true });
const worker: cluster.Worker = cluster.fork();
const pool = new Pool({ filename: 'task.js' });
export = { child, pool, worker };
