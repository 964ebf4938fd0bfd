'use strict';

// A child that sends what it uses at regular times. Only the `require` is not fixed.
const { fork } = require(process.env.CHILD_PROCESS);

if (process.argv[2] === 'child') {
  setInterval(monitorProcess, 20);
} else {
  const child = fork(__filename, ['child']);
  const all = [];
  child.on('message', (metrics) => {
    if (all.push({ ...metrics, isChild: metrics.pid === child.pid }) === 3) child.disconnect();
  });
  child.on('disconnect', () => child.kill());
  child.on('exit', () => console.log(JSON.stringify(all)));
}

function monitorProcess() {
  if (!process.connected) return;
  const { heapTotal, heapUsed, rss } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  process.send({
    memory: { heapTotal, heapUsed, rss },
    cpu: { user, system },
    uptime: process.uptime(),
    pid: process.pid,
  });
}
