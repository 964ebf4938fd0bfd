'use strict';
// @ts-check

// Decides whether the native engine runs here, and loads it when it is first needed. Where it does not run, Node's
// own modules serve the same exports.
//
// In the place of the loader that napi-rs generates, which costs four milliseconds of every start, and says of a
// failure only that there was one.

const fs = require('node:fs');

const OLDEST_NODE = 20;
/** Names of processors as the C library has them. @type {Record<string, string>} */
const MACHINES = { x64: 'x86_64', arm64: 'aarch64' };
/** Where in an executable the name of its dynamic linker is; some tools move it, and then it is not found. */
const INTERPRETER_WITHIN = 4096;

/** Hosts that have Node's modules, but not what is inside them. */
const otherHost = nameOf('bun') ?? nameOf('deno');

/** Why the engine does not run; `undefined` where it does. @type {string | undefined} */
let reason;
/** @type {typeof import('../binding.js') | undefined} */
let binding;
/** What the binding is loaded from. @type {string | undefined} */
let file;

if (process.env.RCLUSTER_DISABLE_NATIVE === '1') {
  reason = 'RCLUSTER_DISABLE_NATIVE is set';
} else if (otherHost !== undefined) {
  reason = `the engine runs in Node.js only, and this is ${otherHost}`;
} else if (parseInt(process.versions.node, 10) < OLDEST_NODE) {
  reason = `it needs Node.js ${OLDEST_NODE} or newer, and this is ${process.version}`;
  warn();
} else if (process.platform !== 'linux') {
  reason = `the engine runs on Linux only, and this is ${process.platform}`;
} else {
  try {
    file = bindingFile();
  } catch (error) {
    fail(error);
  }
}

/** A host and its version, if it is this one. @param {string} name */
function nameOf(name) {
  const version = process.versions[name];
  return version && `${name[0].toUpperCase()}${name.slice(1)} ${version}`;
}

/** The file that was built here, or that of the platform's package. */
function bindingFile() {
  const override = process.env.NAPI_RS_NATIVE_LIBRARY_PATH;
  if (override) return fs.realpathSync(override);
  const target = `linux-${process.arch}-${isMusl() ? 'musl' : 'gnu'}`;
  const built = `${__dirname}/../rcluster.${target}.node`;
  return fs.existsSync(built) ? built : require.resolve(`@rcluster/binding-${target}`);
}

/** Whether Node itself runs on musl: then addons do too, whatever else is installed. */
function isMusl() {
  if (!fs.existsSync(`/lib/ld-musl-${MACHINES[process.arch]}.so.1`)) return false;
  const executable = fs.openSync(process.execPath, 'r');
  try {
    const start = Buffer.alloc(INTERPRETER_WITHIN);
    fs.readSync(executable, start, 0, INTERPRETER_WITHIN, 0);
    return start.includes('/ld-musl-');
  } finally {
    fs.closeSync(executable);
  }
}

/** @param {unknown} error */
function fail(error) {
  reason = require('./binding_errors').explain(error, file);
  warn();
}

/** On Linux this is a broken install, not a choice, and nobody would see it otherwise. */
function warn() {
  process.emitWarning(`rcluster runs on Node's own modules, because ${reason}`, {
    code: 'RCLUSTER_NO_BINDING',
  });
}

/** The binding, loaded if it is not; undefined where it cannot be. */
function load() {
  if (reason !== undefined || binding !== undefined) return binding;
  try {
    binding = require(/** @type {string} */ (file));
  } catch (error) {
    fail(error);
  }
  return binding;
}

/**
 * The error of what only the engine can do, where it does not run.
 * @param {string} what as in "child.killTree()"
 */
function unsupported(what) {
  const error = new Error(`${what} needs rcluster's native engine, which does not run here: ${reason}`);
  return Object.assign(error, { code: 'ERR_RCLUSTER_UNSUPPORTED' });
}

module.exports = {
  file,
  unsupported,
  /** Whether there is a binding to load. */
  isExpected: reason === undefined,
  /** Whether the engine runs. Loads it. */
  get native() {
    return load() !== undefined;
  },
  get reason() {
    return reason;
  },
};
