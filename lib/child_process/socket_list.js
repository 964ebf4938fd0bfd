'use strict';
// @ts-check

// Connections of one server that live in another process: `server.close()` and `server.getConnections()` ask
// there. Speaks Node's own messages, so that the other side may be stock Node.

const { EventEmitter } = require('node:events');

const { codedError } = require('../errors');

/** The server's side: connections it gave away. */
class SocketListSend extends EventEmitter {
  /** @param {any} child @param {string} key of the server */
  constructor(child, key) {
    super();
    this.child = child;
    this.key = key;
    child.once('exit', () => this.emit('exit', this));
  }

  /** @param {(error: Error | null) => void} callback called once the receiver has closed them all */
  close(callback) {
    this.#request('NODE_SOCKET_NOTIFY_CLOSE', 'NODE_SOCKET_ALL_CLOSED', true, callback);
  }

  /** @param {(error: Error | null, count?: number) => void} callback */
  getConnections(callback) {
    this.#request('NODE_SOCKET_GET_COUNT', 'NODE_SOCKET_COUNT', false, (error, reply) => {
      if (error) callback(error);
      else callback(null, reply.count);
    });
  }

  /**
   * @param {string} command
   * @param {string} answer
   * @param {boolean} swallowErrors
   * @param {(error: Error | null, reply?: any) => void} callback
   */
  #request(command, answer, swallowErrors, callback) {
    const { child, key } = this;
    const onDisconnect = () => {
      child.removeListener('internalMessage', onReply);
      callback(codedError('ERR_CHILD_CLOSED_BEFORE_REPLY'));
    };
    const onReply = (/** @type {any} */ reply) => {
      if (reply.cmd !== answer || reply.key !== key) return;
      child.removeListener('disconnect', onDisconnect);
      child.removeListener('internalMessage', onReply);
      callback(null, reply);
    };

    if (!child.connected) {
      onDisconnect();
      return;
    }
    child._send({ cmd: command, key }, undefined, swallowErrors);
    child.once('disconnect', onDisconnect);
    child.on('internalMessage', onReply);
  }
}

/** The receiver's side: connections it was given. */
class SocketListReceive extends EventEmitter {
  /** @param {any} child @param {string} key of the server */
  constructor(child, key) {
    super();
    this.child = child;
    this.key = key;
    this.connections = 0;

    const onEmpty = () => {
      if (child.connected) child._send({ cmd: 'NODE_SOCKET_ALL_CLOSED', key }, undefined, true);
    };
    child.on('internalMessage', (/** @type {any} */ message) => {
      if (message.key !== key) return;
      if (message.cmd === 'NODE_SOCKET_NOTIFY_CLOSE') {
        if (this.connections === 0) onEmpty();
        else this.once('empty', onEmpty);
      } else if (message.cmd === 'NODE_SOCKET_GET_COUNT' && child.connected) {
        child._send({ cmd: 'NODE_SOCKET_COUNT', key, count: this.connections });
      }
    });
  }

  /** @param {{ socket: import('node:net').Socket }} entry */
  add({ socket }) {
    this.connections++;
    socket.once('close', () => {
      this.connections--;
      if (this.connections === 0) this.emit('empty', this);
    });
  }
}

/**
 * The list of one server's connections over one channel.
 * @param {'send' | 'got'} direction
 * @param {{ child: any, sockets: Record<'send' | 'got', Record<string, any>> }} owner
 * @param {string} key of the server
 */
function getSocketList(direction, owner, key) {
  const List = direction === 'send' ? SocketListSend : SocketListReceive;
  return (owner.sockets[direction][key] ??= new List(owner.child, key));
}

module.exports = { getSocketList };
