// The CommonJS form of TypeScript.
import cluster = require('rcluster');
import childProcess = require('rcluster/child_process');

if (cluster.isPrimary) {
  cluster.setupPrimary({ exec: __filename });
  const worker: cluster.Worker = cluster.fork();
  worker.once('online', () => worker.kill());
  cluster.on('exit', () => childProcess.fork('child.js').send({ hello: 'world' }));
}

const settings: cluster.ClusterSettings = cluster.settings;
export = settings;
