'use strict';
// @ts-check

// What rcluster adds to Node's own `cluster` where the engine does not run: what needs no engine, and errors.

const { coverage } = require('../coverage');
const { unsupported } = require('../platform');
const { nodes } = require('./install');
const { policies } = require('./policies');
const { availableParallelism } = require('./processors');
const { listenFds } = require('./systemd');

/** @type {any} */
const cluster = require('node:cluster');
const own = nodes();

/** @param {string} what */
const refuse = (what) => () => {
  throw unsupported(what);
};

/** What only the engine can do. */
const refusing = {
  broadcast: refuse('cluster.broadcast()'),
  loads: refuse('cluster.loads()'),
  onRequest: refuse('cluster.onRequest()'),
};

/** Puts them on Node's object. */
function install() {
  // Node refuses the policies itself.
  Object.assign(cluster, policies, { availableParallelism, listenFds, ...refusing });
  Object.defineProperties(cluster, {
    native: { value: false, configurable: true },
    coverage: { value: coverage, configurable: true, writable: true },
  });
  for (const extras of [replacements.workerExtras, replacements.workerMethods]) {
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(extras))) {
      Object.defineProperty(cluster.Worker.prototype, name, { ...descriptor, enumerable: false });
    }
  }
  if (cluster.worker) {
    for (const name of ['sendTo', 'requestTo', 'broadcast']) {
      const value = refuse(`cluster.worker.${name}()`);
      Object.defineProperty(cluster.worker, name, { value, configurable: true, writable: true });
    }
  }
  return cluster;
}

/** What takes the place of primary.js and scheduling.js, where only their first use shows that the engine does not run. */
const replacements = {
  ...own.cluster,
  ...refusing,
  disconnectWorker: own.worker.disconnect,
  destroyWorker: own.worker.destroy,
  applyEnvironment() {},
  workerExtras: {
    get weight() {
      return undefined;
    },
    set weight(_) {
      throw unsupported('worker.weight');
    },
    get isPaused() {
      return undefined;
    },
    get load() {
      return undefined;
    },
    pause: refuse('worker.pause()'),
    resume: refuse('worker.resume()'),
  },
  workerMethods: { onRequest: refuse('worker.onRequest()'), request: refuse('worker.request()') },
};

module.exports = { install, refusing, replacements };
