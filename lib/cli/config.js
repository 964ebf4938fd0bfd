'use strict';
// @ts-check

// The config file: where it is, and what it says.

const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const { oneLine, usageError } = require('./errors');
const { checkConfig } = require('./options');
const { importModule } = require('../loader');

const NAMES = ['js', 'cjs', 'mjs', 'json'].map((extension) => `rcluster.config.${extension}`);
/** Options that name a file or directory: from the config file's own directory, wherever it is started from. */
const PATHS = ['exec', 'cwd', 'envFile', 'logFile', 'errorFile', 'control'];

/**
 * @typedef {object} Config
 * @property {string} file as given, or its name
 * @property {Record<string, any>} options
 */

/**
 * Reads the config file: the one that is named, or the one in this directory if there is one.
 * @param {string | undefined} named
 * @param {readonly string[]} supervised names of supervise()'s options
 * @param {{ fresh?: boolean }} [options] fresh: read it again, after a change
 * @returns {Promise<Config | undefined>}
 */
async function readConfig(named, supervised, { fresh = false } = {}) {
  const file = named ?? NAMES.find((name) => fs.existsSync(name));
  if (file === undefined) return undefined;
  const full = path.resolve(file);
  if (!fs.existsSync(full)) throw usageError(`there is no config file ${file}`);
  const options = checkConfig(await load(full, file, fresh), file, supervised);
  for (const name of PATHS) {
    const value = options[name];
    // By the name of the directory, not by where that leads: a release may be a symbolic link.
    if (typeof value === 'string')
      options[name] = path.isAbsolute(value) ? value : path.join(path.dirname(file), value);
  }
  return { file, options };
}

/** @param {string} full @param {string} file @param {boolean} fresh */
async function load(full, file, fresh) {
  try {
    if (full.endsWith('.json')) return JSON.parse(fs.readFileSync(full, 'utf8'));
    // A module is kept for good under its address, so what is to be read again gets another.
    const { href } = pathToFileURL(full);
    if (fresh) delete require.cache[full];
    const module = await importModule(fresh ? `${href}?${Date.now()}` : href);
    return await (module.default ?? module);
  } catch (error) {
    throw usageError(`${file} cannot be read: ${oneLine(/** @type {Error} */ (error).message)}`);
  }
}

module.exports = { readConfig };
