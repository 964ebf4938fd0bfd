'use strict';
// @ts-check

// `rcluster top`: what the workers do, now and in the last minute.

const { ask } = require('./client');
const { usageError } = require('./errors');
const { onceInterrupted, printJson } = require('./steer');
const { duration, many, size, table } = require('./tables');

const INTERVAL = 1000;
/** Width of a sparkline: so many intervals. */
const WIDTH = 20;
const BARS = '▁▂▃▄▅▆▇█';

const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H\u001b[J';

/** @param {{ control?: string, json?: boolean, count?: string }} options */
async function top({ control, json, count }) {
  if (count !== undefined && !/^[1-9]\d*$/.test(count)) {
    throw usageError(`--count takes a number, 1 or more, not "${count}"`);
  }
  const isLive = process.stdout.isTTY && !json;
  // Where nobody watches, one look is what is wanted.
  const looks = count === undefined ? (isLive || json ? Infinity : 1) : Number(count);
  const signal = isLive ? untilQuit() : onceInterrupted();
  const history = new History();
  // Rates take two answers.
  history.add(await ask(control, { command: 'metrics' }));
  if (isLive) process.stdout.write(ENTER);
  try {
    for (let look = 0; look < looks && !signal.aborted; look++) {
      await pause(signal);
      if (signal.aborted) break;
      const answer = await ask(control, { command: 'metrics' });
      const view = history.add(answer);
      if (json) printJson(answer);
      else process.stdout.write((isLive ? HOME : '') + render(view, isLive));
    }
  } finally {
    if (isLive) {
      process.stdout.write(LEAVE);
      process.stdin.setRawMode(false);
    }
  }
}

/** Ended by q, or by Ctrl-C, which does not come as a signal in this mode. */
function untilQuit() {
  const controller = new AbortController();
  const { stdin } = process;
  if (!stdin.isTTY) return onceInterrupted();
  stdin.setRawMode(true);
  stdin.resume();
  stdin.on('data', (data) => {
    if (['q', 'Q', '\u0003', '\u0004', '\u001b'].includes(String(data))) controller.abort();
  });
  process.once('SIGTERM', () => controller.abort());
  return controller.signal;
}

/** @param {AbortSignal} signal @returns {Promise<void>} */
function pause(signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, INTERVAL);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The answers of the last minute, and what they say of each worker. */
class History {
  /** @type {any} */
  #before;
  /** @type {Map<number, { cpu: number[], loop: number[] }>} */
  #lines = new Map();

  /** @param {{ status: any, metrics: any }} answer */
  add({ status, metrics }) {
    const before = this.#before;
    const seconds = before === undefined ? 0 : (metrics.time - before.time) / 1000;
    const byPid = new Map(metrics.workers.map((/** @type {any} */ worker) => [worker.pid, worker]));
    const workers = status.workers.map((/** @type {any} */ worker) => {
      const figures = byPid.get(worker.pid);
      const last = before?.workers.find((/** @type {any} */ { pid }) => pid === worker.pid);
      const rate = (/** @type {(of: any) => number} */ of) =>
        figures && last && seconds > 0 ? Math.max(0, (of(figures) - of(last)) / seconds) : undefined;
      const cpu = rate(({ cpu: { user, system } }) => user + system);
      const lines = this.#lines.get(worker.pid) ?? { cpu: [], loop: [] };
      lines.cpu = [...lines.cpu, cpu ?? 0].slice(-WIDTH);
      lines.loop = [...lines.loop, figures?.eventLoop?.utilization ?? 0].slice(-WIDTH);
      if (worker.pid !== undefined) this.#lines.set(worker.pid, lines);
      return { ...worker, figures, cpu, requests: rate(({ requests }) => requests?.total ?? 0), lines };
    });
    for (const pid of this.#lines.keys()) {
      if (!status.workers.some((/** @type {any} */ worker) => worker.pid === pid)) this.#lines.delete(pid);
    }
    this.#before = metrics;
    return { status, workers };
  }
}

/** @param {number[]} values 0 to 1 */
function sparkline(values) {
  const bars = values.map((value) => BARS[Math.min(BARS.length - 1, Math.floor(value * BARS.length))]);
  return bars.join('').padStart(WIDTH);
}

/** @param {number | undefined} value @param {(value: number) => string} show */
function known(value, show) {
  return typeof value === 'number' ? show(value) : '-';
}

const percent = (/** @type {number} */ value) => `${Math.round(value * 100)}%`;

/** @param {{ status: any, workers: any[] }} view @param {boolean} isLive */
function render({ status, workers }, isLive) {
  const ready = workers.filter(({ state }) => state === 'ready').length;
  const facts = [
    `${status.name}: ${status.state}`,
    `pid ${status.pid}`,
    `up ${duration(status.uptime)}`,
    `${ready} of ${status.instances} ready`,
    many(status.restarts, 'restart'),
    many(status.reloads, 'reload'),
  ];
  const headings = [
    'id',
    'pid',
    'state',
    'up',
    'restarts',
    'req/s',
    'conns',
    'cpu',
    '',
    'loop',
    '',
    'p99',
    'rss',
    'heap',
  ];
  const rows = workers.map(({ id, pid, state, uptime, restarts, requests, cpu, lines, figures }) => [
    id,
    pid ?? '-',
    state,
    duration(uptime),
    restarts,
    known(requests, (value) => value.toFixed(value < 10 ? 1 : 0)),
    known(figures?.connections?.open, String),
    known(cpu, percent),
    sparkline(lines.cpu),
    known(figures?.eventLoop?.utilization, percent),
    sparkline(lines.loop),
    known(figures?.eventLoop?.delay?.p99, (value) => `${(value * 1000).toFixed(1)} ms`),
    size(figures?.rss),
    size(figures?.heap?.used),
  ]);
  return `${facts.join(', ')}\n\n${table(headings, rows)}${isLive ? '\nq quits\n' : ''}`;
}

module.exports = { top };
