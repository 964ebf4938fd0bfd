'use strict';
// @ts-check

// What workers are started with.

const fs = require('node:fs');
const path = require('node:path');

const { findScript, readEnvFile } = require('./options');

/**
 * Read anew: the environment, the directory and the script behind symbolic links.
 * @param {InstanceType<typeof import('./supervisor').Supervisor>} supervisor
 * @param {any} changes
 */
function resolveStart(supervisor, changes) {
  const { env, exec = supervisor.options.exec, args = supervisor.options.args } = changes;
  const { options } = supervisor;
  const script = findScript(exec, options.startDirectory);
  // Followed once for each generation, so that a worker that crashes does not start in the middle of a deployment.
  const cwd =
    options.cwd === undefined ? options.startDirectory : path.resolve(options.startDirectory, options.cwd);
  let realDirectory;
  try {
    realDirectory = fs.realpathSync(cwd);
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    throw Object.assign(new Error(`Cannot use the directory "${cwd}" (${code})`), { code, path: cwd });
  }
  const own = typeof options.env === 'function' ? options.env() : options.env;
  const fromFile = options.envFile && readEnvFile(path.resolve(options.startDirectory, options.envFile));
  return {
    script: fs.realpathSync(script),
    args: [...args],
    cwd: realDirectory,
    env: { PWD: realDirectory, ...fromFile, ...own, ...env },
    options,
    generation: supervisor.generation,
  };
}

module.exports = { resolveStart };
