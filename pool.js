'use strict';
// @ts-check

// `rcluster/pool`: the class itself, which carries the other exports.

require = require('./lib/loader').within(module, require);
const { native, unsupported } = require('./lib/platform');

if (!native) throw unsupported('rcluster/pool');

module.exports = require('./lib/pool');

// For `import { Pool, move } from 'rcluster/pool'`: Node finds named exports by this shape, without running it.
0 &&
  (module.exports = {
    ArrayTaskQueue,
    FixedQueue,
    Piscina,
    Pool,
    isWorkerThread,
    move,
    queueOptionsSymbol,
    transferableSymbol,
    valueSymbol,
    version,
    workerData,
  });
