'use strict';
// @ts-check

// What the workers share, kept by the primary: values, locks with leases, and which of them leads. What a worker holds
// is free again when it has ended.

const { LockTable } = require('./locks');
const { Store } = require('./store');

/** @typedef {InstanceType<typeof import('./run').Run>} Run */

/** @param {Run} run */
function isFit(run) {
  return run.state === 'ready';
}

class Coordination {
  /** @param {InstanceType<typeof import('./supervisor').Supervisor>} supervisor */
  constructor(supervisor) {
    this.supervisor = supervisor;
    this.store = new Store();
    this.locks = new LockTable({
      granted: ({ run, number }, token) => run.send({ act: 'reply', number, result: token }),
      refused: ({ run, number }) => run.send({ act: 'reply', number, result: null }),
      lost: (run, name, token) => run.send({ act: 'lost', lock: name, token }),
    });
    /** @type {Run | undefined} */
    this.leader = undefined;
    /** The leader, while it has been told to lead no more and has not answered. @type {Run | undefined} */
    this.abdicating = undefined;
  }

  /** @param {unknown} place @param {Run} run */
  joined(place, run) {
    void [place, run];
    this.elect();
  }

  /** @param {unknown} place @param {Run} run */
  left(place, run) {
    this.locks.left(run);
    this.store.left(run);
    this.abdicated(run);
    this.elect();
  }

  /** The one that has been ready for the longest leads, until it does not serve any more. */
  elect() {
    const { leader } = this;
    if (this.abdicating !== undefined || (leader !== undefined && isFit(leader))) return;
    // It says when it has heard of it, or ends: before that there would be two for a moment.
    if (leader?.exit === undefined && leader?.send({ act: 'leader', isLeader: false })) {
      this.abdicating = leader;
      return;
    }
    const [next] = this.supervisor
      .runs()
      .filter(isFit)
      .sort((a, b) => (a.readyAt ?? 0) - (b.readyAt ?? 0) || a.place - b.place);
    this.leader = next;
    if (next === leader) return;
    next?.send({ act: 'leader', isLeader: true });
    this.supervisor.emit('leader', next?.place);
  }

  /** It leads no more. @param {Run} run */
  abdicated(run) {
    if (this.abdicating !== run) return;
    this.abdicating = undefined;
    this.leader = undefined;
    this.elect();
    if (this.leader === undefined) this.supervisor.emit('leader', undefined);
  }

  /** @param {unknown} place @param {Run} run @param {any} message */
  onMessage(place, run, message) {
    const { act, number } = message;
    if (act === 'lock')
      return this.locks.acquire(message.lock, { run, number, lease: message.lease, wait: message.wait });
    if (act === 'giveUpWaiting') return this.locks.cancel(message.lock, run, message.waiting);
    if (act === 'deposed') return this.abdicated(run);
    let result;
    if (act === 'store') result = this.store.run(message.op, message.args, run);
    else if (act === 'renew') result = this.locks.renew(message.lock, message.token, message.lease);
    else if (act === 'release') result = this.locks.release(message.lock, message.token);
    else return undefined;
    if (number !== undefined) run.send({ act: 'reply', number, result });
    return undefined;
  }

  close() {
    this.locks.close();
    this.store.close();
    this.leader = undefined;
  }
}

module.exports = { Coordination };
