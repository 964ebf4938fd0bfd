// @ts-check
'use strict';

// What the workers of a primary listen on, one object a key. Both kinds have `add`, `has` and `remove`; `remove`
// is true when the last worker has gone and the socket with it.

const net = require('node:net');

const { handleFromFd } = require('../child_process/handles');
const { engine } = require('../native');
const handoff = require('./handoff');

/**
 * @typedef {object} Query a worker's `queryServer`
 * @property {string | null} address
 * @property {number} port below 0: `address` is a path
 * @property {string | number} addressType
 * @property {number} [fd]
 * @property {number} [flags]
 * @property {number} [backlog]
 * @property {boolean} [readableAll]
 * @property {boolean} [writableAll]
 * @property {number} [handoff]
 *
 * @typedef {object} Listener
 * @property {any} data what the servers on it share, as TLS ticket keys
 * @property {(worker: any, query: Query, reply: Reply) => void} add
 * @property {(worker: any) => boolean} has
 * @property {(worker: any) => boolean} remove
 *
 * @typedef {(errno: number | null, reply: { sockname?: object } | null, handle?: any) => void} Reply
 */

/** @param {Query} query @returns {boolean} */
function isUdp({ addressType }) {
  return addressType === 'udp4' || addressType === 'udp6';
}

/**
 * What to bind to, in the engine's terms.
 * @param {string | null} address the query's, or a shorter path to the same
 * @param {Query} query
 * @returns {import('../../binding.js').Listen}
 */
function toListen(address, query) {
  const { port, fd, flags, backlog, readableAll, writableAll } = query;
  const udp = isUdp(query);
  if (typeof fd === 'number' && (udp ? fd > 0 : fd >= 0)) return { fd, backlog: backlog || undefined };
  if (!udp && port < 0) {
    return {
      path: address ?? '',
      backlog: backlog || undefined,
      readableAll: readableAll === true,
      writableAll: writableAll === true,
    };
  }
  return {
    host: address || undefined,
    port: port || 0,
    udp,
    flags: typeof flags === 'number' ? flags : undefined,
    backlog: backlog || undefined,
  };
}

/** A socket that the accept thread serves: connections are shared out by policy. */
class Distributed {
  /** @param {string} key @param {string | null} address @param {Query} query */
  constructor(key, address, query) {
    this.key = key;
    /** @type {any} */
    this.data = undefined;
    this.workers = new Set();
    const { code, kind, address: host, port } = handoff.listen(key, toListen(address, query));
    this.listener = code;
    /** @type {object | undefined} */
    this.sockname = undefined;
    if (kind === 'tcp' && host !== undefined) {
      this.sockname = { address: host, family: net.isIPv6(host) ? 'IPv6' : 'IPv4', port };
    }
  }

  /** @param {any} worker @param {Query} query @param {Reply} reply */
  add(worker, query, reply) {
    this.workers.add(worker);
    if (this.listener < 0) return reply(this.listener, null);
    const sockname = this.sockname === undefined ? null : { sockname: this.sockname };
    const token = query.handoff;
    // A worker with a token answers the reply by saying that it is ready, and must be known by then; one without
    // gets its connections over the same channel, behind the reply.
    if (token !== undefined) handoff.join(this.listener, worker, token);
    reply(null, sockname);
    if (token === undefined) handoff.join(this.listener, worker, token);
  }

  /** @param {any} worker */
  has(worker) {
    return this.workers.has(worker);
  }

  /** @param {any} worker */
  remove(worker) {
    if (!this.workers.delete(worker)) return false;
    if (this.listener < 0) return this.workers.size === 0;
    handoff.leave(this.listener, worker);
    if (this.workers.size !== 0) return false;
    handoff.unlisten(this.listener);
    return true;
  }
}

/** A bound socket that each worker gets a copy of: the kernel decides who is woken. */
class Shared {
  /** @param {string | null} address @param {Query} query */
  constructor(address, query) {
    /** @type {any} */
    this.data = undefined;
    this.workers = new Set();
    this.errno = 0;
    this.handle = null;
    const { code, kind } = engine.clusterBind(toListen(address, query));
    if (code < 0) this.errno = code;
    else this.handle = handleFromFd(/** @type {'tcp' | 'pipe' | 'udp'} */ (kind), code);
  }

  /** @param {any} worker @param {Query} query @param {Reply} reply */
  add(worker, query, reply) {
    this.workers.add(worker);
    reply(this.errno, null, this.handle);
  }

  /** @param {any} worker */
  has(worker) {
    return this.workers.has(worker);
  }

  /** @param {any} worker */
  remove(worker) {
    if (!this.workers.delete(worker) || this.workers.size !== 0) return false;
    this.handle?.close();
    this.handle = null;
    return true;
  }
}

module.exports = { Distributed, Shared, isUdp };
