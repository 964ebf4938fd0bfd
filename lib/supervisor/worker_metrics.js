'use strict';
// @ts-check

// In a worker: what prom-client has counted, for the supervisor's /metrics.

const path = require('node:path');

const PROM_CLIENT = `${path.sep}prom-client${path.sep}index.js`;

/** Registries that the app has named. @type {Set<any>} */
const named = new Set();

/**
 * Has a registry of prom-client's served by the supervisor. The default registry is, without being named.
 * @param {{ getMetricsAsJSON(): any }} registry
 */
function exposeMetrics(registry) {
  if (typeof registry?.getMetricsAsJSON !== 'function') {
    throw new TypeError("exposeMetrics() takes a Registry of prom-client's");
  }
  named.add(registry);
}

/** The metrics of all registries, and whose they are; no metrics where the app has no registry. */
async function readMetrics() {
  const registries = new Set(named);
  // Each copy of prom-client that the app, or a library of it, has loaded.
  for (const [file, module] of Object.entries(require.cache)) {
    if (file.endsWith(PROM_CLIENT) && module?.loaded) registries.add(module.exports.register);
  }
  const lists = await Promise.all([...registries].map((registry) => registry.getMetricsAsJSON()));
  return { pid: process.pid, metrics: lists.flat() };
}

module.exports = { exposeMetrics, readMetrics };
