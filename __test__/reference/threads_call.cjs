'use strict';

// The same by one call: the pool starts the threads, and keeps them for the next task.
const { Pool } = require('rcluster/pool');

if (require('worker_threads').isMainThread) {
  const pool = new Pool({ filename: __filename, maxThreads: 2 });
  Promise.all([pool.run(100), pool.run(1000)]).then((results) => {
    console.log(`results ${results}`);
    return pool.close();
  });
}

module.exports = (limit) => {
  let count = 0;
  for (let n = 2; n < limit; n++) {
    let divisor = 2;
    while (n % divisor !== 0) divisor++;
    if (divisor === n) count++;
  }
  return count;
};
