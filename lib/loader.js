'use strict';
// @ts-check

// Loads our own modules in two thirds of the time that Node's `require` takes. That looks for each of them in several
// places, asks for its real path and for the package.json around it, and takes paths apart letter by letter: often
// enough for V8 to load its optimizing compilers, which are megabytes. A module that is to load others this way begins
// with `require = ...`; what it loads has it from here.

const {
  apply,
  compileFunction,
  defineProperty,
  readFileSync,
  stringIndexOf,
  stringLastIndexOf,
  stringSlice,
} = require('./untampered');

const Module = /** @type {any} */ (module.constructor);

// Another host of modules, as test runners have one, has its own idea of a module and of the realm it runs in.
const isNodes = typeof Module._load === 'function' && require.cache === Module._cache;

const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];

/** Where a relative request leads. @param {string} directory @param {string} request */
function joined(directory, request) {
  for (;;) {
    if (stringIndexOf(request, './') === 0) {
      request = stringSlice(request, 2);
    } else if (stringIndexOf(request, '../') === 0) {
      request = stringSlice(request, 3);
      directory = stringSlice(directory, 0, stringLastIndexOf(directory, '/'));
    } else {
      return `${directory}/${request}`;
    }
  }
}

/** @param {string} request an absolute one, with or without its extension */
function load(request) {
  const place = stringSlice(request, -3) === '.js' ? stringSlice(request, 0, -3) : request;
  // Node's own cache, so that there is one of each module, whoever loads it.
  const known = Module._cache[`${place}.js`] ?? Module._cache[`${place}/index.js`];
  if (known !== undefined) return known.exports;
  let filename = `${place}.js`;
  let code;
  try {
    code = readFileSync(filename, 'utf8');
  } catch (error) {
    if (/** @type {any} */ (error).code !== 'ENOENT') throw error;
    filename = `${place}/index.js`;
    code = readFileSync(filename, 'utf8');
  }
  const loading = new Module(filename);
  loading.filename = filename;
  Module._cache[filename] = loading;
  try {
    const run = compileFunction(code, PARAMETERS, { filename });
    apply(run, loading.exports, [loading.exports, within(loading), loading, filename, loading.path]);
  } catch (error) {
    delete Module._cache[filename];
    throw error;
  }
  loading.loaded = true;
  return loading.exports;
}

/**
 * The `require` of one of our modules.
 * @param {any} user the module
 * @param {NodeJS.Require} nodes Node's `require` of it, or of any other of ours
 * @returns {NodeJS.Require}
 */
function within(user, nodes = require) {
  if (!isNodes || !(user instanceof Module)) return nodes;
  const directory = user.path;
  const absolute = (/** @type {string} */ request) =>
    request[0] === '.' ? joined(directory, request) : request;
  const ours = (/** @type {string} */ request) =>
    request[0] === '.' && stringIndexOf(request, '.json') === -1
      ? load(joined(directory, request))
      : nodes(absolute(request));
  ours.cache = nodes.cache;
  defineProperty(
    ours,
    'resolve',
    /** @type {any} */ ({
      __proto__: null,
      value: (/** @type {string} */ request) => nodes.resolve(absolute(request)),
    }),
  );
  return /** @type {any} */ (ours);
}

/** `import()`, which what is loaded here has not. @param {string} specifier an absolute one */
const importModule = (specifier) => import(specifier);

module.exports = { importModule, within };
