// @ts-check
'use strict';

// What the workers share, kept by the primary: values, locks with leases, and which of them leads. What a worker holds
// is free again when it has ended.

const { LockTable } = require('./locks');
const { Store } = require('./store');

/** @typedef {InstanceType<typeof import('./run').Run>} Run */

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
    this.elect();
  }

  /** The one that has been ready for the longest leads, until it does not serve any more. */
  elect() {
    const isFit = (/** @type {Run} */ run) => run.state === 'ready';
    if (this.leader !== undefined && isFit(this.leader)) return;
    const before = this.leader;
    const fit = this.supervisor.runs().filter(isFit);
    this.leader = fit.sort((a, b) => (a.readyAt ?? 0) - (b.readyAt ?? 0) || a.place - b.place)[0];
    if (this.leader === before) return;
    // In this order: there are never two.
    before?.send({ act: 'leader', isLeader: false });
    this.leader?.send({ act: 'leader', isLeader: true });
    this.supervisor.emit('leader', this.leader?.place);
  }

  /** @param {unknown} place @param {Run} run @param {any} message */
  onMessage(place, run, message) {
    const { act, number } = message;
    if (act === 'lock')
      return this.locks.acquire(message.lock, { run, number, lease: message.lease, wait: message.wait });
    if (act === 'giveUpWaiting') return this.locks.cancel(message.lock, run, message.waiting);
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
