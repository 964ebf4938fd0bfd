// @ts-check
'use strict';

// Decides, once, whether the native engine runs here. Where it does not, Node's own modules serve the same exports.

/** Why the engine does not run; `undefined` where it does. @type {string | undefined} */
let reason;
/** @type {typeof import('../binding.js') | undefined} */
let binding;

if (process.env.RCLUSTER_DISABLE_NATIVE === '1') {
  reason = 'RCLUSTER_DISABLE_NATIVE is set';
} else if (process.platform !== 'linux') {
  reason = `the engine runs on Linux only, and this is ${process.platform}`;
} else {
  try {
    binding = require('../binding.js');
  } catch (error) {
    const [firstLine] = /** @type {Error} */ (error).message.split('\n');
    reason = `its binding did not load: ${firstLine}`;
    // On Linux this is a broken install, not a choice, and nobody would see it otherwise.
    process.emitWarning(`rcluster runs on Node's own modules, because ${reason}`, {
      code: 'RCLUSTER_NO_BINDING',
    });
  }
}

/**
 * The error of what only the engine can do, where it does not run.
 * @param {string} what as in "child.killTree()"
 */
function unsupported(what) {
  const error = new Error(`${what} needs rcluster's native engine, which does not run here: ${reason}`);
  return Object.assign(error, { code: 'ERR_RCLUSTER_UNSUPPORTED' });
}

module.exports = { native: binding !== undefined, binding, reason, unsupported };
