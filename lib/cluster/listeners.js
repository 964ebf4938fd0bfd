'use strict';
// @ts-check

// What the workers of a primary listen on, one object a key. Both kinds have `add`, `has` and `remove`; `remove`
// is true when the last worker has gone and the socket with it.

const net = require('node:net');
const { EINVAL } = require('node:os').constants.errno;

const { fdOf, handleFromFd } = require('../child_process/handles');
const { nodeMajor } = require('../errors');
const { engine } = require('../native');
const handoff = require('./handoff');

/** libuv's flag for a socket that takes IPv6 only. */
const TCP_IPV6ONLY = 1;
/** libuv's flag for SO_REUSEPORT. */
const TCP_REUSEPORT = 2;
const MAX_PORT = 0xffff;
/** How many bytes the path of a socket may have. */
const MAX_PATH = 108;

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
 * @property {(worker: any) => void} [sendByMessage]
 *
 * @typedef {(errno: number | null, reply: { sockname?: object } | null, handle?: any) => void} Reply
 */

/** @param {Query} query @returns {boolean} */
function isUdp({ addressType }) {
  return addressType === 'udp4' || addressType === 'udp6';
}

/** Whether a datagram socket of one family is to bind to an address of the other. @param {string | null} address @param {Query} query */
function isOtherFamily(address, { addressType }) {
  const family = net.isIP(address ?? '');
  return (addressType === 'udp4' && family === 6) || (addressType === 'udp6' && family === 4);
}

/**
 * What to bind to, in the engine's terms.
 * @param {string | null} address the query's, or a shorter path to the same
 * @param {Query} query
 * @returns {import('../../binding.js').Listen}
 */
function toListen(address, query) {
  const { port, fd, flags, readableAll, writableAll } = query;
  const udp = isUdp(query);
  const backlog = toBacklog(query);
  if (typeof fd === 'number' && (udp ? fd > 0 : fd >= 0)) return { fd, backlog };
  if (!udp && port < 0) {
    return {
      path: toPath(address ?? ''),
      backlog,
      readableAll: readableAll === true,
      writableAll: writableAll === true,
    };
  }
  return {
    host: address || undefined,
    // Of a datagram socket it is whatever the program has given, a string for one.
    port: Number(port) & MAX_PORT,
    udp,
    flags: typeof flags === 'number' ? flags : undefined,
    backlog,
  };
}

/** What Node binds to for a path: before Node 24 libuv cuts off what is too long, and so do its clients. @param {string} path */
function toPath(path) {
  const bytes = Buffer.from(path);
  return nodeMajor < 24 && bytes.length > MAX_PATH ? bytes.toString('utf8', 0, MAX_PATH) : path;
}

/** The backlog of a query, which Node takes as it comes and makes an integer of. @param {Query} query */
function toBacklog({ backlog }) {
  return Number(backlog) | 0 || undefined;
}

/**
 * Binds a TCP port as a server of this process would, through what programs may have put in the place of
 * `net.Server.prototype.listen`.
 * @param {string | null} host
 * @param {Query} query
 * @param {(errno: number, fd?: number) => void} onBound with a descriptor of the listening socket
 */
function bindAsServer(host, { port, flags = 0, backlog }, onBound) {
  const server = net.createServer();
  server.once('error', (/** @type {any} */ error) => onBound(error.errno));
  server.once('listening', () => {
    const fd = engine.clusterDuplicate(fdOf(server));
    // Before its loop has looked for connections: from here on they are the accept thread's.
    server.close();
    onBound(fd < 0 ? fd : 0, fd);
  });
  server.listen({ port, host, ipv6Only: (flags & TCP_IPV6ONLY) !== 0, backlog });
}

/** A socket that the accept thread serves: connections are shared out by policy. */
class Distributed {
  /**
   * @param {string} key
   * @param {string | null} address
   * @param {Query} query
   * @param {import('./handoff').Sharing} sharing
   */
  constructor(key, address, query, sharing) {
    this.key = key;
    /** @type {any} */
    this.data = undefined;
    this.workers = new Set();
    /** The engine's number for it; below 0 the errno of the bind, undefined while that is under way. @type {number | undefined} */
    this.listener = undefined;
    /** @type {object | undefined} */
    this.sockname = undefined;
    /** No worker is left. */
    this.isAbandoned = false;
    /** Workers that wait for the bind. @type {Array<() => void>} */
    this.waiting = [];
    const { fd, port } = query;
    if (port < 0 || (typeof fd === 'number' && fd >= 0)) {
      this.bound(handoff.listen(key, toListen(address, query), sharing));
    } else {
      bindAsServer(address, query, (errno, fd) => {
        this.bound(
          errno < 0
            ? { code: errno }
            : handoff.listen(key, { fd, backlog: toBacklog(query), isOurs: true }, sharing),
        );
      });
    }
  }

  /** @param {{ code: number, kind?: string, address?: string, port?: number }} listened */
  bound({ code, kind, address, port }) {
    this.listener = code;
    if (kind === 'tcp' && address !== undefined) {
      this.sockname = { address, family: net.isIPv6(address) ? 'IPv6' : 'IPv4', port };
    }
    for (const go of this.waiting.splice(0)) go();
    // All may have left meanwhile.
    if (this.workers.size === 0 && code >= 0 && this.isAbandoned) handoff.unlisten(code);
  }

  /** @param {any} worker @param {Query} query @param {Reply} reply */
  add(worker, query, reply) {
    this.workers.add(worker);
    this.isAbandoned = false;
    const answer = () => this.answer(worker, query, reply);
    if (this.listener === undefined) this.waiting.push(answer);
    else answer();
  }

  /** @param {any} worker @param {Query} query @param {Reply} reply */
  answer(worker, query, reply) {
    const { listener } = this;
    if (listener === undefined || listener < 0) return reply(listener ?? null, null);
    const sockname = this.sockname === undefined ? null : { sockname: this.sockname };
    // Gone while the bind was under way.
    if (!this.workers.has(worker)) return reply(null, sockname);
    const token = query.handoff;
    // A worker with a token answers the reply by saying that it is ready, and must be known by then; one without
    // gets its connections over the same channel, behind the reply.
    if (token !== undefined) handoff.join(listener, worker, token);
    reply(null, sockname);
    if (token === undefined) handoff.join(listener, worker, token);
  }

  /** Connections for a worker go over the channel from now on, also those that are under way. @param {any} worker */
  sendByMessage(worker) {
    const { listener } = this;
    if (!this.workers.has(worker) || listener === undefined || listener < 0) return;
    handoff.leave(listener, worker);
    handoff.takeBack(worker);
    handoff.join(listener, worker, undefined);
  }

  /** @param {any} worker */
  has(worker) {
    return this.workers.has(worker);
  }

  /** @param {any} worker */
  remove(worker) {
    if (!this.workers.delete(worker)) return false;
    const { listener } = this;
    this.isAbandoned = this.workers.size === 0;
    if (listener === undefined || listener < 0) return this.isAbandoned;
    handoff.leave(listener, worker);
    if (!this.isAbandoned) return false;
    handoff.unlisten(listener);
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
    const { code, kind } = isOtherFamily(address, query)
      ? { code: -EINVAL }
      : engine.clusterBind(toListen(address, query));
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

/** A socket for each worker, all on one port: the kernel shares connections out by a hash of the client's port. */
class PerWorker {
  /** @param {string | null} address @param {Query} query */
  constructor(address, query) {
    /** @type {any} */
    this.data = undefined;
    this.address = address;
    /** @type {number} */
    this.port = query.port || 0;
    /** @type {Map<any, any>} */
    this.handles = new Map();
  }

  /** @param {Query} query */
  bind(query) {
    const flags = (query.flags ?? 0) | TCP_REUSEPORT;
    return engine.clusterBind({ ...toListen(this.address, query), port: this.port, flags });
  }

  /** Whether somebody else has the port, who might share it too. @param {Query} query @returns {number} 0 or an errno */
  probe(query) {
    const { code } = engine.clusterBind(toListen(this.address, query));
    if (code < 0) return code;
    handleFromFd('tcp', code).close();
    return 0;
  }

  /** @param {any} worker @param {Query} query @param {Reply} reply */
  add(worker, query, reply) {
    const errno = this.handles.size === 0 && this.port !== 0 ? this.probe(query) : 0;
    const { code, port } = errno < 0 ? { code: errno, port: 0 } : this.bind(query);
    // Also kept here: a bound socket that does not listen takes no connections.
    const handle = code < 0 ? null : handleFromFd('tcp', code);
    this.handles.set(worker, handle);
    if (handle !== null) this.port = port ?? this.port;
    reply(Math.min(code, 0), null, handle);
  }

  /** @param {any} worker */
  has(worker) {
    return this.handles.has(worker);
  }

  /** @param {any} worker */
  remove(worker) {
    const handle = this.handles.get(worker);
    if (!this.handles.delete(worker)) return false;
    handle?.close();
    return this.handles.size === 0;
  }
}

module.exports = { Distributed, PerWorker, Shared, isUdp };
