'use strict';
// @ts-check

// `rcluster/supervisor`.

require = require('./lib/loader').within(module, require);

module.exports = require('./lib/supervisor');

// For `import { supervise } from 'rcluster/supervisor'`: Node finds named exports by this shape, without running it.
0 &&
  (module.exports = {
    supervise,
    checkOptions,
    ready,
    onDrain,
    onShutdown,
    drain,
    answer,
    exposeMetrics,
    defineConfig,
    store,
    lock,
    optionNames,
    leader,
    place,
    isSupervised,
    isDraining,
  });
