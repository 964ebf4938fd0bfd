'use strict';
// @ts-check

// What two ends say to each other that both are rcluster, in messages that Node ignores: that they are, and when
// each direction leaves the socket for the ring.
//
//   child                      parent
//                          <-  ASK           only if somebody waits for the child to say something
//   HELLO + ring's memory  ->
//                          <-  READY         the last message that comes by the socket
//   SWITCH                 ->                the last message that goes by the socket
//
// The child speaks first, once it has taken its channel over, and only to a parent that has marked the socket: to
// Node nothing is ever said. To a child that may be Node's nothing is said but ASK, when the program asks it something.

const { engine } = require('../native');
const { Requests } = require('./requests');
const { FORMAT } = require('./row_writer');

/** Of the commands of these messages. */
const PEER_PREFIX = 'NODE_RCLUSTER_';

const ASK = 'NODE_RCLUSTER_ASK';
const HELLO = 'NODE_RCLUSTER_HELLO';
const READY = 'NODE_RCLUSTER_READY';
const SWITCH = 'NODE_RCLUSTER_SWITCH';

/** Whether messages may leave the socket. */
function isRingAllowed() {
  return process.env.RCLUSTER_IPC !== 'wire';
}

/** The other end, if it is rcluster too. */
class Peer {
  /** @param {any} ipc */
  constructor(ipc) {
    this.ipc = ipc;
    /** Whether it has said so. */
    this.isKnown = false;
    /** @type {'wire' | 'ring'} */
    this.transport = 'wire';
    this.hasAsked = false;
    this.requests = new Requests(ipc);
  }

  /** Has the other end speak now, if it is rcluster. */
  ask() {
    if (this.isKnown || this.hasAsked) return;
    this.hasAsked = true;
    this.ipc.wire.write({ cmd: ASK }, -1);
  }

  /** Speaks first. @param {boolean} [isRingWanted] */
  greet(isRingWanted = isRingAllowed()) {
    const { wire } = this.ipc;
    const fd = isRingWanted ? engine.channelOfferRing(wire.id) : -1;
    wire.write({ cmd: HELLO, ring: fd >= 0 && FORMAT }, Math.max(fd, -1));
  }

  /** @param {any} message whose command begins with PEER_PREFIX */
  arrived(message) {
    const { isClosing, wire } = this.ipc;
    switch (message.cmd) {
      case HELLO: {
        if (isClosing) break;
        this.isKnown = true;
        const isWanted = message.ring === FORMAT && isRingAllowed();
        const ring = message.ring !== false && engine.channelOpenRing(wire.id, isWanted) === 0;
        wire.write({ cmd: READY, ring: ring && FORMAT }, -1);
        if (ring) this.sendByRing();
        this.requests.known();
        break;
      }
      case READY:
        this.isKnown = true;
        if (message.ring === FORMAT) {
          // Also while it is being closed: bells follow, which would be taken for part of a message.
          wire.receiveByRing();
          if (isClosing) break;
          wire.write({ cmd: SWITCH }, -1);
          this.sendByRing();
        } else {
          engine.channelDropRing(wire.id);
        }
        this.requests.known();
        break;
      case SWITCH:
        wire.receiveByRing();
        break;
      default:
        if (!isClosing) this.requests.arrived(message);
    }
  }

  sendByRing() {
    this.ipc.wire.sendByRing();
    this.transport = 'ring';
  }
}

module.exports = { PEER_PREFIX, Peer };
