'use strict';

// Children by their pid, a message to all of them, and another child for each that cannot be told. Only the `require` is
// not fixed.
const { fork } = require(process.env.CHILD_PROCESS);

class ProcessManager {
  constructor(onMessage) {
    this.workers = new Map();
    this.onMessage = onMessage;
  }

  createWorker() {
    const worker = fork(__filename, ['worker']);
    const { pid } = worker;
    worker.on('message', (message) => this.onMessage(pid, message));
    // A channel that is closed is told here; what cannot be sent at all is thrown.
    worker.on('error', (error) => {
      console.log(`cannot send: ${error.code}`);
      this.handleWorkerError(pid);
    });
    this.workers.set(pid, worker);
  }

  broadcast(message) {
    for (const [pid, worker] of this.workers) {
      try {
        worker.send(message);
      } catch (error) {
        console.log(`cannot send: ${error.code}`);
        this.handleWorkerError(pid);
      }
    }
  }

  handleWorkerError(pid) {
    const worker = this.workers.get(pid);
    if (worker === undefined) return;
    worker.kill();
    this.workers.delete(pid);
    this.createWorker();
  }
}

if (process.argv[2] === 'worker') {
  process.on('message', (message) => process.send(message));
  process.send('ready');
} else {
  /** @type {Record<string, number>} */
  const counts = {};
  const manager = new ProcessManager((pid, message) => {
    counts[message] = (counts[message] ?? 0) + 1;
    const { ready, hello, again } = counts;
    if (message === 'ready' && ready === 2) manager.broadcast('hello');
    if (message === 'hello' && hello === 2) loseOne();
    if (message === 'ready' && ready === 3) manager.broadcast('again');
    if (message === 'again' && again === 2) end();
  });
  manager.createWorker();
  manager.createWorker();

  function loseOne() {
    const [first] = manager.workers.values();
    first.once('disconnect', () => manager.broadcast('heard by the other'));
    first.disconnect();
  }

  function end() {
    console.log(JSON.stringify(counts));
    for (const worker of manager.workers.values()) worker.disconnect();
  }
}
