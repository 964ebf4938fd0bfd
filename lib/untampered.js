'use strict';
// @ts-check

// Functions of the language as they were when rcluster was loaded. A program that later replaces methods which all
// arrays, strings or maps inherit (old frameworks do, tests do, attackers do) still gets its children, as in Node. That
// may be before the modules of child_process are loaded, so what they do when they are goes through here as well, and so
// does what of Node's loads them.
//
// The first of our files, and loaded by Node's `require`.

const fs = require('node:fs');
const vm = require('node:vm');

const { call } = Function.prototype;

/**
 * A method as a function of its object.
 * @param {Function} method
 * @returns {(self: any, ...args: any[]) => any}
 */
function uncurry(method) {
  return call.bind(/** @type {any} */ (method));
}

const array = Array.prototype;
const string = String.prototype;

/** Gives a subclass the methods themselves, so that it does not look them up where they may be replaced. */
function fix(/** @type {any} */ Class, /** @type {any} */ Base) {
  const { size, constructor, ...methods } = Object.getOwnPropertyDescriptors(Base.prototype);
  Object.defineProperties(Class.prototype, methods);
  return Class;
}

/** @type {MapConstructor} */
const SafeMap = fix(class SafeMap extends Map {}, Map);
/** @type {SetConstructor} */
const SafeSet = fix(class SafeSet extends Set {}, Set);

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

const { apply } = Reflect;
const { getOwnPropertySymbols } = Object;

/**
 * The symbol of this description that an object has as a property; undefined if it has none. Node's private names are such.
 * @param {object} object
 * @param {string} description
 * @returns {any}
 */
function symbolOf(object, description) {
  return arrayFind(getOwnPropertySymbols(object), (symbol) => symbol.description === description);
}

const { getBuiltinModule } = /** @type {any} */ (process);

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
  assign: Object.assign,
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
  compileFunction: vm.compileFunction,
  create: Object.create,
  defineProperties: Object.defineProperties,
  defineProperty: Object.defineProperty,
  entries: Object.entries,
  freeze: Object.freeze,
  getOwnPropertyDescriptor: Object.getOwnPropertyDescriptor,
  hasOwn: Object.hasOwn,
  keys: Object.keys,
  methodDescriptor,
  nodeMajor: Number(process.versions.node.split('.', 1)[0]),
  openReserve,
  readFileSync: fs.readFileSync,
  setPrototypeOf: Object.setPrototypeOf,
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
  values: Object.values,
};
