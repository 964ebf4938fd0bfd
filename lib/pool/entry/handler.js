'use strict';
// @ts-check

// Finds the function that runs a task. Runs in the thread, or in the process.

const { importModule } = require('../../loader');

/**
 * What a file exports under a name; 'default' is also what a CommonJS file exports as a whole. A file that is not
 * CommonJS, or that fails, is imported: so the error users see is that of the import.
 * @param {string} filename
 * @param {string} name
 * @returns {Promise<Function | null>}
 */
async function loadHandler(filename, name) {
  let handler;
  try {
    handler = await exportOf(require(filename), name);
  } catch {
    // The import says why.
  }
  if (typeof handler === 'function') return handler;
  const { pathToFileURL } = require('node:url');
  const module = await importModule(pathToFileURL(filename).href);
  handler = await module[name];
  return typeof handler === 'function' ? handler : null;
}

/** @param {any} module @param {string} name */
function exportOf(module, name) {
  if (module?.__esModule) return module[name];
  return name === 'default' ? module : module?.[name];
}

/** @param {string} filename */
function noHandler(filename) {
  return new Error(`No handler function exported from ${filename}`);
}

/** Makes this thread or process a nicer one. @param {number} increment */
function lowerPriority(increment) {
  if (increment <= 0) return;
  const os = require('node:os');
  // As nice(2): beyond the lowest it is the lowest.
  os.setPriority(0, Math.min(os.getPriority(0) + increment, os.constants.priority.PRIORITY_LOW));
}

module.exports = { loadHandler, lowerPriority, noHandler };
