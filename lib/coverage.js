'use strict';
// @ts-check

const { native } = require('./platform');

/** For each function, whose implementation answers it. */
function coverage() {
  const childProcess = ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync'];
  const names = [
    ...childProcess.map((name) => `child_process.${name}`),
    ...['disconnect', 'fork', 'setupPrimary'].map((name) => `cluster.${name}`),
  ];
  return Object.fromEntries(names.map((name) => [name, native ? 'rcluster' : 'node']));
}

module.exports = { coverage };
