'use strict';

// Workers that tell their load in messages, and a primary that listens to each. Only the `require` is not fixed.
const cluster = require(process.env.CLUSTER);

const workerCount = 2;

if (cluster.isMaster) {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const loads = new Map();
  const workers = [];
  for (let i = 0; i < workerCount; i++) workers.push(cluster.fork());

  for (const worker of workers) {
    worker.on('message', (message) => {
      if (message.cmd !== 'WORKER_LOAD') return;
      loads.set(worker.id, message.load);
      if (loads.size === workerCount) for (const other of workers) other.disconnect();
    });
  }
  process.on('exit', () => {
    for (const id of [...loads.keys()].sort()) console.log(`worker ${id} has a load of ${loads.get(id)}`);
  });
} else {
  let last = process.cpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(last);
    last = process.cpuUsage();
    process.send({ cmd: 'WORKER_LOAD', load: user + system });
  }, 20);
  process.on('disconnect', () => clearInterval(timer));
}
