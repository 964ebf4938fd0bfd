'use strict';
// @ts-check

// Puts rcluster behind Node's built-in child_process and cluster, in place, for `--require`, `--import` and
// NODE_OPTIONS: whoever has required them already, or imports them later, gets ours.

// What node:module gives, without the time it takes to load that.
const Module = /** @type {typeof import('node:module')} */ (/** @type {unknown} */ (module.constructor));

/**
 * The first file of a worker. Where it is is known: to look for it takes Node as long as to compile and run it, and the
 * worker listens later by that. As ./lib/loader has it, which would be another file.
 * @returns {typeof import('./lib/cluster/newborn')}
 */
function newborn() {
  const filename = `${__dirname}/lib/cluster/newborn.js`;
  const { _cache: cache, prototype } = /** @type {any} */ (Module);
  // Another host of modules, as test runners have one, has its own ways.
  if (require.cache !== cache || cache[filename] || !prototype._compile)
    return require('./lib/cluster/newborn');
  const code = require('node:fs').readFileSync(filename, 'utf8');
  const loading = /** @type {any} */ (new Module(filename, module));
  loading.filename = filename;
  cache[filename] = loading;
  loading._compile(code, filename, 'commonjs');
  loading.loaded = true;
  return loading.exports;
}

function register() {
  if (process.env.RCLUSTER_HANDOFF !== undefined && newborn().begin()) return;
  require = require('./lib/loader').within(module, require);
  const { isExpected } = require('./lib/platform');
  if (!isExpected) return;
  const { whenLoaded } = require('./lib/builtins');
  const { later } = require('./lib/lazy');
  whenLoaded({
    child_process: later(() => {
      require('./lib/child_process/install').installChildProcess();
      Module.syncBuiltinESMExports();
    }),
    cluster: later(() => {
      require('./lib/cluster/install').installCluster();
      Module.syncBuiltinESMExports();
    }),
  });
}

register();
