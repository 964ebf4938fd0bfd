'use strict';
// @ts-check

// Node's own child_process, where the engine does not run. What only the engine can do is refused, not ignored: a
// child without the limits that were asked for is worse than none.

const { promisify } = require('node:util');

const { unsupported } = require('../platform');

const { extraOptions } = require('./extras');
const { nodes, state } = require('./install');

const own = nodes();

/**
 * The same function, but for the options that Node has not.
 * @param {any} callee
 */
function refusingExtras(callee) {
  /** @this {any} @param {any[]} args */
  function wrapped(...args) {
    for (const options of args) {
      if (typeof options !== 'object' || options === null || Array.isArray(options)) continue;
      const name = extraOptions.find((option) => options[option] !== undefined && options[option] !== null);
      if (name !== undefined) throw unsupported(`options.${name}`);
    }
    return Reflect.apply(callee, this, args);
  }
  const properties = Object.getOwnPropertyDescriptors(callee);
  const custom = /** @type {any} */ (promisify.custom);
  const promised = properties[custom];
  // A promisified function is its own promisified form.
  if (promised && promised.value !== callee) promised.value = refusingExtras(promised.value);
  else delete properties[custom];
  return Object.defineProperties(wrapped, properties);
}

/** @param {string} name */
const refuse = (name) => () => {
  throw unsupported(`child.${name}()`);
};

/** What a child's methods do. */
const methods = {
  spawn: own.spawn,
  killTree: refuse('killTree'),
  resourceUsage: refuse('resourceUsage'),
};

if (!state.isRegistered) {
  for (const name of /** @type {const} */ (['killTree', 'resourceUsage'])) {
    const descriptor = { value: methods[name], writable: true, configurable: true };
    Object.defineProperty(own.childProcess.ChildProcess.prototype, name, descriptor);
  }
}

/** @type {Record<string, any>} */
const childProcess = { ...own.childProcess };
for (const name of ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync']) {
  childProcess[name] = refusingExtras(childProcess[name]);
}

module.exports = { ...childProcess, childProcess, methods };
