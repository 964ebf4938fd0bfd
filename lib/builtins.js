'use strict';
// @ts-check

// Tells when Node loads a module of its own, whoever asks for it and by whatever road: `require`, `import`, or another of
// Node's modules. `child_process` and `cluster` and what they rest on take longer to load than all of ours, and most
// programs that are started with `--require rcluster/register` never ask for them.
//
// Node appends the name of each module it has loaded to `process.moduleLoadList`, and does so by assignment: what
// inherits from a proxy tells of it. At that time the module has run, and who asked for it has not got it yet. Node has
// no hook for `import` of its own modules before 22.15, and the one it has since costs every other module time.

const {
  SafeMap,
  arrayFind,
  arrayForEach,
  arrayIncludes,
  bareDescriptor,
  builtin,
  create,
  defineProperty,
  keys,
  setPrototypeOf,
} = require('./untampered');

const { getPrototypeOf } = Object;

const { moduleLoadList: list } = /** @type {any} */ (process);

/** As Node writes it into the list. @param {string} name */
const entryOf = (name) => `NativeModule ${name}`;

/** Small ones that nobody needs, to see whether loading is told of. */
const PROBES = ['path/win32', 'path/posix', 'util/types', 'constants'];

/** What is to be done, by the entry that is waited for. @type {Map<string, () => void>} */
const waiting = new SafeMap();

/** @param {unknown} entry */
function onLoaded(entry) {
  const run = waiting.get(/** @type {string} */ (entry));
  if (run === undefined) return;
  waiting.delete(/** @type {string} */ (entry));
  if (waiting.size === 0) unwatch();
  run();
}

/** Whether loading is told of from now on. */
function watch() {
  if (!Array.isArray(list) || getPrototypeOf(list) !== Array.prototype) return false;
  const probe = arrayFind(PROBES, (name) => !arrayIncludes(list, entryOf(name)));
  if (probe === undefined) return false;
  let isTold = false;
  // Nothing here inherits: a program may have given Object.prototype properties of such names.
  const handler = {
    __proto__: null,
    /** @type {NonNullable<ProxyHandler<any>['set']>} */
    set(_, key, value, receiver) {
      defineProperty(
        receiver,
        key,
        bareDescriptor({ value, writable: true, enumerable: true, configurable: true }),
      );
      if (value === entryOf(probe)) isTold = true;
      onLoaded(value);
      return true;
    },
  };
  setPrototypeOf(list, new Proxy(create(Array.prototype), /** @type {any} */ (handler)));
  builtin(probe);
  if (!isTold) unwatch();
  return isTold;
}

function unwatch() {
  setPrototypeOf(list, Array.prototype);
}

/**
 * Runs what is given by the name of a module as soon as that is loaded: at once if it is, or if Node does not tell.
 * @param {Record<string, () => void>} runs
 */
function whenLoaded(runs) {
  const names = keys(runs);
  arrayForEach(names, (name) => waiting.set(entryOf(name), runs[name]));
  const isTold = watch();
  arrayForEach(names, (name) => {
    const entry = entryOf(name);
    if (!isTold || arrayIncludes(list, entry)) onLoaded(entry);
  });
}

module.exports = { whenLoaded };
