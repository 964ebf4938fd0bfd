'use strict';

// Heavy work on another thread, and the main thread goes on meanwhile.
require(process.env.CLUSTER);
const { Worker, isMainThread, parentPort } = require('worker_threads');

if (isMainThread) {
  const worker = new Worker(__filename);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);

  worker.on('message', (result) => {
    clearInterval(timer);
    console.log(`result ${result}, ${turns > 0 ? 'not blocked' : 'blocked'}`);
    worker.terminate();
  });
  worker.postMessage({ data: 2_000_000 });
} else {
  parentPort.on('message', ({ data }) => parentPort.postMessage(countPrimes(data)));
}

function countPrimes(limit) {
  const isComposite = new Uint8Array(limit);
  let count = 0;
  for (let n = 2; n < limit; n++) {
    if (isComposite[n]) continue;
    count++;
    for (let multiple = n * n; multiple < limit; multiple += n) isComposite[multiple] = 1;
  }
  return count;
}

module.exports = countPrimes;
