'use strict';

// A child that sets its own limit, and collects garbage when much of its heap is used. Only the `require` is not fixed.
const { fork } = require(process.env.CHILD_PROCESS);
const v8 = require('v8');

const limitMb = 200;

if (process.argv[2] === 'child') {
  // In megabytes: a number of bytes would be no limit at all.
  v8.setFlagsFromString(`--max-old-space-size=${limitMb}`);
  let kept = Array.from({ length: 20 }, () => new Array(100_000).fill(0.5));
  const before = process.memoryUsage().heapUsed;
  setInterval(() => {
    const { heapUsed, heapTotal } = process.memoryUsage();
    if (heapUsed / heapTotal <= 0.1) return;
    kept = kept.slice(0, 1);
    global.gc();
    process.send({ before, after: process.memoryUsage().heapUsed, kept: kept.length });
    process.disconnect();
    process.exit();
  }, 20);
} else {
  const child = fork(__filename, ['child'], { execArgv: ['--expose-gc'] });
  child.on('message', ({ before, after }) => console.log(before - after > 10e6 ? 'collected' : 'kept'));
  child.on('exit', (code) => console.log(`child exited ${code}`));
}
