'use strict';
// @ts-check

// What an instance is steered and seen by, as its options ask for it.

const { serveControl } = require('../supervisor/control');
const { defaultPath, link, prepareDirectory } = require('../supervisor/control_path');
const { parseAddress } = require('../supervisor/http_address');
const { Logs } = require('../supervisor/logs');
const { CommandError, usageError } = require('./errors');

/** @param {{ logFormat?: any, logTime?: boolean, logFile?: string, errorFile?: string }} options */
function openLogs({ logFormat: format, logTime: time, logFile: file, errorFile }) {
  if (format === 'inherit') {
    if (file === undefined && errorFile === undefined) return undefined;
    throw usageError('with the log format "inherit" workers print to the terminal: leave out the log files');
  }
  try {
    const logs = new Logs({ format, time, file, errorFile });
    // Also where an exception ends the supervisor.
    process.once('exit', () => logs.finish());
    return logs;
  } catch (error) {
    throw new CommandError(`${/** @type {Error} */ (error).message}: choose another log file`);
  }
}

/**
 * @param {string | false | undefined} path
 * @param {import('../supervisor/control').Instance} instance
 * @param {(text: string) => void} print
 */
async function openControl(path, instance, print) {
  if (path === false) return undefined;
  if (path === undefined) {
    try {
      prepareDirectory();
    } catch (error) {
      // A container whose file system is read-only has no use for it.
      const { message } = /** @type {Error} */ (error);
      print(`no control socket, so status, reload and the like do not work: ${message}; see --control`);
      return undefined;
    }
  }
  try {
    const control = await serveControl(path ?? defaultPath(), instance);
    if (path !== undefined) return control;
    const unlink = link(control.path);
    return {
      path: control.path,
      async close() {
        unlink();
        await control.close();
      },
    };
  } catch (error) {
    const { code, message } = /** @type {any} */ (error);
    const taken = 'stop it with "rcluster stop", or give this one a socket of its own with --control PATH';
    const hint = code === 'ERR_RCLUSTER_CONTROL_TAKEN' ? taken : 'choose another with --control PATH';
    throw new CommandError(`${message}: ${hint}`, 1, code);
  }
}

/**
 * @param {string | number | false | undefined} address
 * @param {import('../supervisor/control').Instance} instance
 */
async function openHttp(address, instance) {
  if (address === undefined || address === false) return undefined;
  const parsed = parseAddress(address);
  if (parsed === undefined) {
    throw usageError(`http takes HOST:PORT, a port or unix:PATH, not "${address}"`);
  }
  try {
    // Only where it is asked for: it takes the supervisor two MB.
    const { serveHttp } = require('../supervisor/http');
    return await serveHttp(instance, parsed);
  } catch (error) {
    const { code, message } = /** @type {any} */ (error);
    const reasons = /** @type {Record<string, string>} */ ({
      EADDRINUSE: 'it is in use',
      EACCES: 'you have no right to',
      EADDRNOTAVAIL: 'this machine has no such address',
      ENOTFOUND: 'there is no such host',
    });
    throw new CommandError(
      `cannot serve http at ${address}: ${reasons[code] ?? message}; choose another with --http`,
      1,
      code,
    );
  }
}

module.exports = { openControl, openHttp, openLogs };
