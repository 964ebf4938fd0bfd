'use strict';
// @ts-check

// What becomes of workers, as events and as lines for a log.

const { runStatus, waitingStatus } = require('./status');

/**
 * @typedef {import('./errors').Exit} Exit
 * @typedef {InstanceType<typeof import('./supervisor').Supervisor>} Supervisor
 * @typedef {InstanceType<typeof import('./run').Run>} Run
 * @typedef {InstanceType<typeof import('./place').Place>} OnePlace
 */

/** @param {Supervisor} supervisor @param {OnePlace} place @param {Run} run */
function launched(supervisor, place, run) {
  const { stdout, stderr } = run.process;
  if (stdout || stderr) {
    const isTaken = supervisor.emit('worker:stdio', runStatus(supervisor, place, run), { stdout, stderr });
    // Somebody has to read it, or the worker would wait.
    const isSilent = supervisor.options.silent === true;
    if (!isTaken) {
      if (stdout) forward(stdout, isSilent ? undefined : process.stdout);
      if (stderr) forward(stderr, isSilent ? undefined : process.stderr);
    }
  }
  const status = runStatus(supervisor, place, run);
  supervisor.emit('worker:start', status);
  supervisor.log('info', 'worker:start', `worker ${place.id} (pid ${run.pid}) started`, {
    id: place.id,
    pid: run.pid,
  });
}

/** @param {import('node:stream').Readable} from @param {NodeJS.WriteStream | undefined} to */
function forward(from, to) {
  if (to === undefined) {
    from.resume();
    return;
  }
  from.on('data', (chunk) => {
    if (to.write(chunk)) return;
    from.pause();
    to.once('drain', () => from.resume());
  });
}

/** @param {Supervisor} supervisor @param {OnePlace} place @param {Run} run */
function ready(supervisor, place, run) {
  supervisor.emit('worker:ready', runStatus(supervisor, place, run));
  const took = Date.now() - run.startedAt;
  supervisor.log('info', 'worker:ready', `worker ${place.id} (pid ${run.pid}) is ready after ${took} ms`, {
    id: place.id,
    pid: run.pid,
  });
}

/** @param {Supervisor} supervisor @param {OnePlace} place @param {Run} run @param {Exit} exit */
function ended(supervisor, place, run, exit) {
  supervisor.emit('worker:exit', runStatus(supervisor, place, run), exit);
  const data = { id: place.id, pid: exit.pid, code: exit.code, signal: exit.signal, uptime: exit.uptime };
  supervisor.log(
    exit.wished ? 'info' : 'warn',
    'worker:exit',
    `worker ${place.id} (pid ${exit.pid}) ${exit.reason}`,
    data,
  );
}

/** @param {Supervisor} supervisor @param {OnePlace} place @param {Exit} exit @param {number} delay */
function restarts(supervisor, place, exit, delay) {
  supervisor.emit('restart', waitingStatus(supervisor, place), { delay, reason: exit.reason, exit });
  supervisor.log('warn', 'restart', `worker ${place.id} ${exit.reason}; started again in ${delay} ms`, {
    id: place.id,
    delay,
  });
}

/**
 * @param {Supervisor} supervisor
 * @param {OnePlace} place
 * @param {Run} run
 * @param {{ silentFor: number, stack: string | undefined, state: string }} hang
 */
function hung(supervisor, place, run, hang) {
  const { silentFor, stack, state: letter } = hang;
  supervisor.emit('worker:hung', runStatus(supervisor, place, run), hang);
  const where = stack === undefined ? ` (process state ${letter})` : `:\n${stack}`;
  supervisor.log(
    'error',
    'worker:hung',
    `worker ${place.id} (pid ${run.pid}) has been stuck for ${silentFor} ms${where}`,
    { id: place.id, pid: run.pid, silentFor, stack },
  );
}

/**
 * @param {Supervisor} supervisor
 * @param {{ scope: string, worker: number, reason: string, exit: Exit, restarts: number, period: number }} what
 */
function givenUp(supervisor, what) {
  const { scope, worker, reason } = what;
  const info = { ...what, stderr: what.exit.stderr };
  supervisor.emit('giveUp', info);
  supervisor.log(
    'error',
    'giveUp',
    scope === 'app' ? `giving up: ${reason}` : `giving up worker ${worker}, the others go on: ${reason}`,
    { ...info, exit: undefined },
  );
}

module.exports = { ended, givenUp, hung, launched, ready, restarts };
