'use strict';
// @ts-check

// What an instance is to do: flags before the config file, each checked.

const fs = require('node:fs');
const path = require('node:path');

const { readConfig } = require('./config');
const { oneLine, usageError } = require('./errors');
const { nearest } = require('../supervisor/nearest');
const { policies, split } = require('./options');

const REGISTER = path.join(__dirname, '../../register.js');
const TYPESCRIPT = /\.[cm]?ts$/;
const LOADER = /--(import|require|loader|experimental-loader|experimental-(strip|transform)-types)|(^| )-r /;

/**
 * @typedef {object} Request what the command line says
 * @property {string} [script]
 * @property {string[]} args those behind `--`
 * @property {Record<string, any>} options by the names of supervise()'s options
 * @property {string} [config] the file
 * @property {string[]} commands names of the subcommands, for who has mistyped one
 */

/**
 * @typedef {object} Settings
 * @property {Record<string, any>} forSupervisor as given to supervise()
 * @property {Record<string, any>} checked the same, with all defaults
 * @property {Record<string, any>} forCommand
 * @property {string | undefined} file the config file
 */

/**
 * @param {Request} request
 * @param {{ fresh?: boolean }} [options] fresh: read the config file again
 * @returns {Promise<Settings>}
 */
async function readSettings({ script, args, options, config: named, commands }, { fresh } = {}) {
  const { checkOptions, optionNames } = require('../supervisor');
  const config = await readConfig(named, optionNames, { fresh });
  /** @type {Record<string, any>} */
  const all = { ...config?.options, ...options };
  if (script !== undefined) all.exec = script;
  if (args.length > 0) all.args = args;
  if (all.exec === undefined) {
    throw usageError(
      config === undefined
        ? 'which script? try: rcluster app.js, or see rcluster --help'
        : `which script? name it in ${config.file} as "exec", or on the command line`,
    );
  }
  const { forSupervisor, forCommand } = split(all);
  // All of rcluster, and not only its cluster: an app runs unmodified.
  forSupervisor.execArgv = ['--require', REGISTER, ...(all.execArgv ?? process.execArgv)];
  forSupervisor.schedulingPolicy = policyOf(all.schedulingPolicy);
  forSupervisor.signals = false;
  let checked;
  try {
    checked = checkOptions(forSupervisor);
  } catch (error) {
    throw describe(/** @type {any} */ (error), config?.file, script, commands);
  }
  checkDirectory(checked);
  checkScript(checked.script, forSupervisor.execArgv.slice(2));
  return { forSupervisor, checked, forCommand, file: config?.file };
}

/** @param {any} policy by name, or as cluster has it */
function policyOf(policy) {
  return typeof policy === 'string' ? policies[policy] : policy;
}

/**
 * What supervise() has to say against the options.
 * @param {Error & { code?: string }} error
 * @param {string | undefined} file
 * @param {string | undefined} script as it was typed
 * @param {string[]} commands
 */
function describe({ message, code }, file, script, commands) {
  if (code === 'ERR_RCLUSTER_NO_SCRIPT' && script !== undefined) {
    const meant = /[/.]/.test(script) ? undefined : nearest(script, commands);
    const hint = meant === undefined ? '' : `; did you mean the command "${meant}"?`;
    return usageError(`there is no script ${script} in ${process.cwd()}${hint}`);
  }
  const text = oneLine(message).replaceAll(/(["'])options\.([\w.]+)\1/g, '$1$2$1');
  return usageError(file === undefined ? text : `${file}: ${text}`);
}

/** @param {Record<string, any>} checked */
function checkDirectory({ startDirectory, cwd }) {
  const directory = path.resolve(startDirectory, cwd ?? '.');
  if (fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return;
  throw usageError(`there is no directory ${cwd} to run in: see --cwd`);
}

/** @param {string} script @param {string[]} execArgv */
function checkScript(script, execArgv) {
  try {
    fs.accessSync(script, fs.constants.R_OK);
  } catch {
    throw usageError(`the script ${script} cannot be read: permission denied`);
  }
  const canTypeScript = /** @type {any} */ (process.features).typescript;
  const hasLoader = LOADER.test([...execArgv, process.env.NODE_OPTIONS ?? ''].join(' '));
  if (!TYPESCRIPT.test(script) || canTypeScript || hasLoader) return;
  const loader = 'a loader, as in --node-arg=--import=tsx';
  throw usageError(`Node ${process.version} does not run TypeScript: take 22.18 or newer, or ${loader}`);
}

module.exports = { readSettings };
