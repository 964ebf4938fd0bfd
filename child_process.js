'use strict';
// @ts-check

// `rcluster/child_process`: Node's `child_process` over our engine, or Node's own where that does not run.

require = require('./lib/loader').within(module, require);
const { isExpected } = require('./lib/platform');

module.exports = isExpected
  ? require('./lib/child_process')
  : require('./lib/child_process/without_engine').childProcess;

// For `import { spawn } from 'rcluster/child_process'`: Node finds named exports by this shape, without running it.
0 &&
  (module.exports = {
    ChildProcess,
    _forkChild,
    exec,
    execFile,
    execFileSync,
    execSync,
    fork,
    spawn,
    spawnSync,
  });
