'use strict';
// @ts-check

// The commands that speak to an instance: each returns when the thing is done.

const { ask } = require('./client');
const { usageError } = require('./errors');
const { time } = require('./options');
const { LineJoiner, labelled } = require('./output');
const { many, statusTable } = require('./tables');

/**
 * What all of these commands take.
 * @typedef {{ control?: string, json?: boolean }} Common
 */

/** @param {object} value */
function printJson(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** @param {Common} options */
async function status({ control, json }) {
  const result = await ask(control, { command: 'status' });
  if (json) printJson(result);
  else process.stdout.write(statusTable(result));
}

/** @param {Common} options */
async function reload({ control, json }) {
  const result = await ask(control, { command: 'reload' });
  if (json) printJson(result);
  else
    process.stdout.write(
      `reloaded: ${many(result.replaced, 'worker')} replaced in ${seconds(result.duration)}\n`,
    );
}

/** @param {string} text @param {Common} options */
async function scale(text, { control, json }) {
  const wanted = Number(text);
  if (!/^\d+$/.test(text) || wanted < 1) {
    throw usageError(`scale takes the number of workers, 1 or more, not "${text}"`);
  }
  const result = await ask(control, { command: 'scale', count: wanted });
  if (json) printJson(result);
  else process.stdout.write(`scaled: ${many(result.workers.length, 'worker')}\n`);
}

/** @param {Common & { timeout?: string, force?: boolean }} options */
async function stop({ control, json, timeout, force = false }) {
  const limit = timeout === undefined ? undefined : time(timeout, '--timeout');
  const result = await ask(control, { command: 'stop', timeout: limit, force }, { untilEnd: true });
  if (json) printJson({ stopped: true, ...result });
  else process.stdout.write(`stopped: pid ${result.pid}\n`);
}

/** @param {Common & { follow?: boolean, lines?: string, worker?: string }} options */
async function logs({ control, json, follow = false, lines, worker }) {
  const joiner = new LineJoiner();
  const signal = onceInterrupted();
  const request = {
    command: 'logs',
    follow,
    lines: number('lines', lines),
    worker: number('worker', worker),
  };
  const onEvent = (/** @type {any} */ event) => {
    if (event.event === 'gap') {
      process.stderr.write('rcluster: some output is missing here, as it came faster than it was read\n');
      return;
    }
    for (const line of joiner.push(event)) printLine(event, line, json);
  };
  await ask(control, request, { onEvent, signal });
  for (const { event, line } of joiner.rest()) printLine(event, line, json);
}

/** @param {any} event @param {string} line @param {boolean | undefined} json */
function printLine({ worker, stream, time }, line, json) {
  if (json) printJson({ time: new Date(time).toISOString(), worker: worker || null, stream, line });
  else process[/** @type {'stdout'} */ (stream)].write(`${labelled(worker, line)}\n`);
}

/** Ctrl-C ends a command that would go on for good, and that is no failure. */
function onceInterrupted() {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  // `rcluster logs -f | head`
  process.stdout.on('error', () => controller.abort());
  return controller.signal;
}

/** @param {string} name @param {string | undefined} text */
function number(name, text) {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw usageError(`--${name} takes a number, not "${text}"`);
  return Number(text);
}

/** @param {number} milliseconds */
function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

module.exports = { logs, onceInterrupted, printJson, reload, scale, status, stop };
