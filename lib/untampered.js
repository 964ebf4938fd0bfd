'use strict';
// @ts-check

// Functions of the language as they were when rcluster was loaded. A program that later replaces methods which all
// arrays, strings or maps inherit (old frameworks do, tests do, attackers do) still gets its children, as in Node. That
// may be before the modules of child_process are loaded, so what they do when they are goes through here as well, and so
// does what of Node's loads them.
//
// The first of our files, and loaded by Node's `require`.

/**
 * What this file looks at. In a worker, which has not had the time for this file before its program, that is what
 * ./cluster/newborn.js has kept.
 * @type {import('./cluster/newborn').Kept}
 */
const source = /** @type {any} */ (process)[Symbol.for('rcluster.untampered')] ?? {
  apply: Reflect.apply,
  array: Array.prototype,
  fs: require('node:fs'),
  getBuiltinModule: /** @type {any} */ (process).getBuiltinModule,
  Map,
  map: Map.prototype,
  object: Object,
  ownKeys: Reflect.ownKeys,
  Set,
  set: Set.prototype,
  string: String.prototype,
  uncurry: Function.prototype.bind.bind(Function.prototype.call),
};

const { apply, array, fs, getBuiltinModule, object, ownKeys, string, uncurry } = source;

/**
 * Gives a subclass the methods themselves, so that it does not look them up where they may be replaced.
 * @param {any} Class
 * @param {object} prototype that of what it extends
 */
function fix(Class, prototype) {
  const methods = ownKeys(prototype);
  for (let at = 0; at < methods.length; at++) {
    const key = methods[at];
    const descriptor = object.getOwnPropertyDescriptor(prototype, key);
    if (key === 'size' || key === 'constructor' || descriptor === undefined) continue;
    object.defineProperty(Class.prototype, key, bareDescriptor(descriptor));
  }
  return Class;
}

/** @type {MapConstructor} */
const SafeMap = fix(class SafeMap extends source.Map {}, source.map);
/** @type {SetConstructor} */
const SafeSet = fix(class SafeSet extends source.Set {}, source.set);

/** @type {<T>(list: T[], value: T) => T[]} */
const arrayFill = uncurry(array.fill);
/** @type {<T>(list: ReadonlyArray<T>, test: (item: T, at: number) => unknown) => T[]} */
const arrayFilter = uncurry(array.filter);
/** @type {<T>(list: ReadonlyArray<T>, test: (item: T, at: number) => unknown) => T | undefined} */
const arrayFind = uncurry(array.find);
/** @type {<T>(list: ReadonlyArray<T>, run: (item: T, at: number) => void) => void} */
const arrayForEach = uncurry(array.forEach);
/** @type {<T, R>(list: ReadonlyArray<T>, change: (item: T, at: number) => R) => R[]} */
const arrayMap = uncurry(array.map);

/**
 * The descriptor of a property like a class's method, which inherits nothing.
 * @param {unknown} value
 * @returns {PropertyDescriptor & { __proto__: null }}
 */
function methodDescriptor(value) {
  return { __proto__: null, value, writable: true, enumerable: false, configurable: true };
}

/**
 * A descriptor that inherits nothing: a program may have given Object.prototype properties of such names.
 * @param {PropertyDescriptor} descriptor
 * @returns {PropertyDescriptor & { __proto__: null }}
 */
function bareDescriptor(descriptor) {
  return { __proto__: null, ...descriptor };
}

const { getOwnPropertySymbols } = object;

/**
 * The symbol of this description that an object has as a property; undefined if it has none. Node's private names are such.
 * @param {object} object
 * @param {string} description
 * @returns {any}
 */
function symbolOf(object, description) {
  return arrayFind(getOwnPropertySymbols(object), (symbol) => symbol.description === description);
}

/**
 * A module of Node's. Not by `require` where there is another way: tools wrap that, and would find it called within
 * a call of their own.
 * @param {string} name
 * @returns {any}
 */
function builtin(name) {
  return getBuiltinModule === undefined ? require(`node:${name}`) : apply(getBuiltinModule, process, [name]);
}

const { openSync } = fs;

/**
 * A descriptor to be given up for the file of a module: a program that has none left is to be told so by what it calls,
 * not by our `require`. Undefined if there is none now.
 */
function openReserve() {
  try {
    return openSync('/dev/null', 'r');
  } catch {
    return undefined;
  }
}

module.exports = {
  SafeMap,
  SafeSet,
  apply,
  assign: object.assign,
  arrayFill,
  arrayFilter,
  arrayFind,
  arrayForEach,
  arrayIncludes: uncurry(array.includes),
  arrayIndexOf: uncurry(array.indexOf),
  arrayJoin: uncurry(array.join),
  arrayLastIndexOf: uncurry(array.lastIndexOf),
  arrayMap,
  arrayPush: uncurry(array.push),
  arraySlice: uncurry(array.slice),
  arraySplice: uncurry(array.splice),
  arrayUnshift: uncurry(array.unshift),
  bareDescriptor,
  builtin,
  closeSync: fs.closeSync,
  compileFunction: require('node:vm').compileFunction,
  create: object.create,
  defineProperties: object.defineProperties,
  defineProperty: object.defineProperty,
  entries: object.entries,
  freeze: object.freeze,
  getOwnPropertyDescriptor: object.getOwnPropertyDescriptor,
  hasOwn: object.hasOwn,
  keys: object.keys,
  methodDescriptor,
  nodeMajor: +uncurry(string.split)(process.versions.node, '.', 1)[0],
  openReserve,
  readFileSync: fs.readFileSync,
  setPrototypeOf: object.setPrototypeOf,
  stringCharCodeAt: uncurry(string.charCodeAt),
  stringIncludes: uncurry(string.includes),
  stringIndexOf: uncurry(string.indexOf),
  stringLastIndexOf: uncurry(string.lastIndexOf),
  stringReplaceAll: uncurry(string.replaceAll),
  stringSlice: uncurry(string.slice),
  stringSplit: uncurry(string.split),
  stringStartsWith: uncurry(string.startsWith),
  stringToUpperCase: uncurry(string.toUpperCase),
  symbolOf,
  values: object.values,
};
