'use strict';
// @ts-check

// Errors as Node makes them: same classes, codes, messages and properties on every supported line, and stacks
// that start at the function the user called wrongly, not in here.

const path = require('node:path');
const util = require('node:util');

const {
  SafeMap,
  arrayIncludes,
  assign,
  create,
  getOwnPropertyDescriptor,
  methodDescriptor,
  nodeMajor,
} = require('./untampered');

const typeNames = [
  'string',
  'function',
  'number',
  'object',
  'Function',
  'Object',
  'boolean',
  'bigint',
  'symbol',
];
const className = /^[A-Z][a-zA-Z0-9]*$/;

/** Class and message of each code. @type {Record<string, [ErrorConstructor, (...args: any[]) => string]>} */
const codes = {
  // @ts-expect-error: null prototype, so that no inherited name is taken for a code.
  __proto__: null,
  ERR_CHILD_CLOSED_BEFORE_REPLY: [Error, () => 'Child closed before reply received'],
  ERR_CHILD_PROCESS_IPC_REQUIRED: [
    Error,
    (name) => `Forked processes must have an IPC channel, missing value 'ipc' in ${name}`,
  ],
  ERR_CHILD_PROCESS_STDIO_MAXBUFFER: [RangeError, (stream) => `${stream} maxBuffer length exceeded`],
  ERR_INVALID_ARG_TYPE: [TypeError, describeArgType],
  ERR_INVALID_ARG_VALUE: [TypeError, describeArgValue],
  ERR_INVALID_HANDLE_TYPE: [TypeError, () => 'This handle type cannot be sent'],
  ERR_INVALID_SYNC_FORK_INPUT: [
    TypeError,
    (input) => `Asynchronous forks do not support Buffer, TypedArray, DataView or string input: ${input}`,
  ],
  ERR_INTERNAL_ASSERTION: [Error, (message) => message],
  ERR_IPC_CHANNEL_CLOSED: [Error, () => 'Channel closed'],
  ERR_IPC_DISCONNECTED: [Error, () => 'IPC channel is already disconnected'],
  ERR_IPC_ONE_PIPE: [Error, () => 'Child process can have only one IPC pipe'],
  ERR_IPC_SYNC_FORK: [Error, () => 'IPC cannot be used with synchronous forks'],
  ERR_MISSING_ARGS: [TypeError, describeMissingArgs],
  ERR_OUT_OF_RANGE: [RangeError, describeRange],
  ERR_RCLUSTER_MESSAGE_SIZE: [
    RangeError,
    (limit) => `The message has more than ${limit} bytes, the limit of this channel`,
  ],
  ERR_RCLUSTER_NO_HANDLER: [Error, (id) => `Worker ${id} answers no requests: it has no cluster.onRequest`],
  ERR_RCLUSTER_NO_WORKER: [Error, (id) => `There is no worker ${id}, or it has ended`],
  ERR_RCLUSTER_PEER: [
    Error,
    () => 'The other end of the channel has not loaded rcluster, which this needs on both ends',
  ],
  ERR_RCLUSTER_QUEUE_SIZE: [
    RangeError,
    (limit) => `More than ${limit} bytes wait to be sent, the limit of this channel`,
  ],
  ERR_RCLUSTER_REQUEST_TIMEOUT: [Error, (timeout) => `The request was not answered within ${timeout} ms`],
  ERR_SOCKET_BAD_PORT: [
    RangeError,
    (name, port) => `${name} should be >= 0 and < 65536. Received ${describeReceived(port)}.`,
  ],
  ERR_UNKNOWN_SIGNAL: [TypeError, (signal) => util.format('Unknown signal: %s', signal)],
};

/** Prototypes of coded errors, one a class: `constructor` is the plain class, as for Node's own. */
const prototypes = new SafeMap();
for (const Base of [Error, TypeError, RangeError]) {
  const prototype = create(Base.prototype, {
    constructor: /** @type {any} */ ({
      __proto__: null,
      get: () => Base,
      set: undefined,
      enumerable: false,
      configurable: true,
    }),
    toString: methodDescriptor(codedToString),
  });
  prototypes.set(Base, prototype);
}

/** @this {any} */
function codedToString() {
  return `${this.name} [${this.code}]: ${this.message}`;
}

/** @param {string[]} items @param {'and' | 'or'} word */
function formatList(items, word) {
  if (items.length < 3) return items.join(` ${word} `);
  return `${items.slice(0, -1).join(', ')}, ${word} ${items[items.length - 1]}`;
}

/** @type {boolean | undefined} */
let isConstructorTrusted;

/**
 * Whether this Node takes what an object has as its constructor for one: it did in each line, up to some release of it.
 * Then it fails by a TypeError of its own where that is a number.
 */
function trustsConstructor() {
  if (isConstructorTrusted !== undefined) return isConstructorTrusted;
  try {
    path.basename(/** @type {any} */ ({ constructor: 5 }));
  } catch (error) {
    isConstructorTrusted = /** @type {any} */ (error).code !== 'ERR_INVALID_ARG_TYPE';
  }
  return isConstructorTrusted;
}

/** @param {any} value */
function describeObject(value) {
  const { constructor } = value;
  if (!trustsConstructor()) {
    const name = constructor?.name;
    if (typeof name === 'string' && name !== '') return `an instance of ${name}`;
  } else if (constructor && 'name' in constructor) {
    return `an instance of ${constructor.name}`;
  }
  return util.inspect(value, { depth: -1 });
}

/** What was received, after "Received ". @param {any} value @returns {string} */
function describeReceived(value) {
  if (value == null) return `${value}`;
  switch (typeof value) {
    case 'function':
      return `function ${value.name}`;
    case 'object':
      return describeObject(value);
    case 'bigint':
      return `type bigint (${value}n)`;
    case 'number':
      return `type number (${Object.is(value, -0) ? '-0' : value})`;
    case 'string': {
      const text = value.length > 28 ? `${value.slice(0, 25)}...` : value;
      return `type string (${text.includes("'") ? JSON.stringify(text) : `'${text}'`})`;
    }
    default:
      return `type ${typeof value} (${String(value)})`;
  }
}

/** @param {string} name */
function argumentOrProperty(name) {
  return name.includes('.') ? 'property' : 'argument';
}

/**
 * @param {string} name
 * @param {string | string[]} expected
 * @param {any} actual
 */
function describeArgType(name, expected, actual) {
  const all = Array.isArray(expected) ? expected : [expected];
  let types = all.filter((entry) => typeNames.includes(entry)).map((entry) => entry.toLowerCase());
  const instances = all.filter((entry) => !typeNames.includes(entry) && className.test(entry));
  const others = all.filter((entry) => !typeNames.includes(entry) && !className.test(entry));
  if (instances.length > 0 && types.includes('object')) {
    types = types.filter((type) => type !== 'object');
    instances.push('Object');
  }

  const parts = [];
  if (types.length > 0)
    parts.push(`${types.length > 1 ? 'one of type' : 'of type'} ${formatList(types, 'or')}`);
  if (instances.length > 0) parts.push(`an instance of ${formatList(instances, 'or')}`);
  if (others.length > 1) parts.push(`one of ${formatList(others, 'or')}`);
  else if (others.length === 1)
    parts.push(others[0].toLowerCase() === others[0] ? others[0] : `an ${others[0]}`);

  const subject = name.endsWith(' argument') ? name : `"${name}" ${argumentOrProperty(name)}`;
  return `The ${subject} must be ${parts.join(' or ')}. Received ${describeReceived(actual)}`;
}

/** @param {string} name @param {any} value @param {string} [reason] */
function describeArgValue(name, value, reason = 'is invalid') {
  const shown = util.inspect(value);
  const received = shown.length > 128 ? `${shown.slice(0, 128)}...` : shown;
  return `The ${argumentOrProperty(name)} '${name}' ${reason}. Received ${received}`;
}

/** @param {string} digits of an integer */
function separateThousands(digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, '_');
}

/** @param {string} name @param {string} range @param {any} value */
function describeRange(name, range, value) {
  let received;
  if (typeof value === 'bigint') {
    const isLong = value > 2n ** 32n || value < -(2n ** 32n);
    received = `${isLong ? separateThousands(String(value)) : value}n`;
  } else if (Number.isInteger(value) && Math.abs(value) > 2 ** 32) {
    received = separateThousands(String(value));
  } else {
    received = util.inspect(value);
  }
  return `The value of "${name}" is out of range. It must be ${range}. Received ${received}`;
}

/** @param {...string} names */
function describeMissingArgs(...names) {
  const quoted = names.map((name) => `"${name}"`);
  return `The ${formatList(quoted, 'and')} argument${names.length > 1 ? 's' : ''} must be specified`;
}

/**
 * Makes an error with one of Node's codes.
 * @param {string} code
 * @param {any[]} args of the code's message
 * @param {Function} hide the stack starts at this function's caller
 * @returns {any}
 */
function makeCoded(code, args, hide) {
  const [Base, describe] = codes[code];
  const error = /** @type {any} */ (withoutTrace(() => new Base(describe(...args))));
  Object.setPrototypeOf(error, prototypes.get(Base));
  // The header of a stack is made from the name when the stack is first read; Node's has the code in it.
  const { name } = error;
  error.name = `${name} [${code}]`;
  Error.captureStackTrace(error, hide);
  void error.stack;
  delete error.name;
  error.code = code;
  return error;
}

/** Makes an error whose trace is captured later, without paying for one now. @template T @param {() => T} make */
function withoutTrace(make) {
  const descriptor = getOwnPropertyDescriptor(Error, 'stackTraceLimit');
  if (!descriptor?.writable) return make();
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/**
 * An error with one of Node's codes; the stack starts at the caller.
 * @param {string} code
 * @param {...any} args of the code's message
 * @returns {any}
 */
function codedError(code, ...args) {
  return makeCoded(code, args, codedError);
}

/**
 * The error of a failed system call.
 * @param {number} errno negative, as Node's handles return it
 * @param {string} syscall what was tried
 * @returns {any}
 */
function errnoException(errno, syscall) {
  const code = util.getSystemErrorName(errno);
  const error = /** @type {any} */ (new Error(`${syscall} ${code}`));
  Error.captureStackTrace(error, errnoException);
  error.errno = errno;
  error.code = code;
  error.syscall = syscall;
  return error;
}

/** An error without a code of its own, with these properties. @param {string} message @param {object} properties */
function plainError(message, properties) {
  const error = new Error(message);
  Error.captureStackTrace(error, plainError);
  return assign(error, properties);
}

/** What stops an operation whose AbortSignal fired. Not exported by Node, so made here. */
class AbortError extends Error {
  /** @param {string} [message] @param {{ cause?: unknown }} [options] */
  constructor(message = 'The operation was aborted', options) {
    super(message, options);
    this.code = 'ABORT_ERR';
    this.name = 'AbortError';
  }
}

/** What Node throws where its permission model forbids child processes. @param {string} file what was to run */
function accessDenied(file) {
  const message = 'Access to this API has been restricted';
  const hint = nodeMajor >= 22 ? '. Use --allow-child-process to manage permissions.' : '';
  const error = /** @type {any} */ (new Error(message + hint));
  Error.captureStackTrace(error, accessDenied);
  error.code = 'ERR_ACCESS_DENIED';
  error.permission = 'ChildProcess';
  error.resource = nodeMajor >= 22 ? file : '';
  return error;
}

/** @param {unknown} value @param {string} name */
function validateString(value, name) {
  if (typeof value !== 'string')
    throw makeCoded('ERR_INVALID_ARG_TYPE', [name, 'string', value], validateString);
}

/** @param {unknown} value @param {string} name */
function validateBoolean(value, name) {
  if (typeof value !== 'boolean')
    throw makeCoded('ERR_INVALID_ARG_TYPE', [name, 'boolean', value], validateBoolean);
}

/** @param {unknown} value @param {string} name */
function validateFunction(value, name) {
  if (typeof value !== 'function') {
    throw makeCoded('ERR_INVALID_ARG_TYPE', [name, 'Function', value], validateFunction);
  }
}

/** @param {unknown} value @param {string} name */
function validateArray(value, name) {
  if (!Array.isArray(value)) throw makeCoded('ERR_INVALID_ARG_TYPE', [name, 'Array', value], validateArray);
}

/** @param {unknown} value @param {string} name */
function validateObject(value, name) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw makeCoded('ERR_INVALID_ARG_TYPE', [name, 'Object', value], validateObject);
  }
}

/** @param {unknown} value @param {string} name @param {unknown[]} allowed */
function validateOneOf(value, name, allowed) {
  if (arrayIncludes(allowed, value)) return;
  const list = allowed.map((entry) => (typeof entry === 'string' ? `'${entry}'` : String(entry))).join(', ');
  throw makeCoded('ERR_INVALID_ARG_VALUE', [name, value, `must be one of: ${list}`], validateOneOf);
}

/** @param {any} value @param {string} name @param {number} [min] @param {number} [max] */
function validateInteger(value, name, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER) {
  if (typeof value !== 'number')
    throw makeCoded('ERR_INVALID_ARG_TYPE', [name, 'number', value], validateInteger);
  if (!Number.isInteger(value))
    throw makeCoded('ERR_OUT_OF_RANGE', [name, 'an integer', value], validateInteger);
  if (value < min || value > max) {
    throw makeCoded('ERR_OUT_OF_RANGE', [name, `>= ${min} && <= ${max}`, value], validateInteger);
  }
}

/** @param {any} value @param {string} name @param {number} min */
function validateNumber(value, name, min) {
  if (typeof value !== 'number')
    throw makeCoded('ERR_INVALID_ARG_TYPE', [name, 'number', value], validateNumber);
  if (value < min || Number.isNaN(value)) {
    throw makeCoded('ERR_OUT_OF_RANGE', [name, `>= ${min}`, value], validateNumber);
  }
}

/** @param {any} value @param {string} name */
function validateAbortSignal(value, name) {
  if (value !== undefined && (value === null || typeof value !== 'object' || !('aborted' in value))) {
    throw makeCoded('ERR_INVALID_ARG_TYPE', [name, 'AbortSignal', value], validateAbortSignal);
  }
}

/** Whether an error says that the other end of a channel has gone. @param {any} error */
function isGone({ code }) {
  return code === 'EPIPE' || code === 'ECONNRESET' || code === 'ERR_IPC_CHANNEL_CLOSED';
}

module.exports = {
  AbortError,
  accessDenied,
  codedError,
  errnoException,
  isGone,
  nodeMajor,
  plainError,
  validateAbortSignal,
  validateArray,
  validateBoolean,
  validateFunction,
  validateInteger,
  validateNumber,
  validateObject,
  validateOneOf,
  validateString,
};
