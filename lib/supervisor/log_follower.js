'use strict';
// @ts-check

// Sends what was printed, and what will be, over the control socket.

const { once } = require('node:events');
const { StringDecoder } = require('node:string_decoder');

const { sendMessage } = require('./control_protocol');

/** How often what is new is looked for while somebody follows, in milliseconds. */
const INTERVAL = 100;

/**
 * Sends the events `{ event: 'output', worker, stream, time, text }`, and `{ event: 'gap' }` where some are missing.
 * `text` is what was printed at once: several lines, or a part of one.
 * @param {InstanceType<typeof import('./logs').Logs> | undefined} logs
 * @param {{ id?: any, follow?: boolean, lines?: number, worker?: number }} request
 * @param {import('node:net').Socket} socket
 */
async function followLogs(logs, { id, follow = false, lines = Infinity, worker }, socket) {
  if (logs === undefined) {
    throw Object.assign(new Error('the workers print to the terminal themselves (logFormat "inherit")'), {
      code: 'ERR_RCLUSTER_NO_LOGS',
    });
  }
  /** A letter may be cut in two. @type {Map<string, StringDecoder>} */
  const decoders = new Map();
  let from = 0;
  let limit = lines;
  for (;;) {
    const batch = logs.since(from);
    from = batch.next;
    if (batch.gap) sendMessage(socket, { id, event: 'gap' });
    const wanted = batch.records.filter((record) => worker === undefined || record.worker === worker);
    for (const { text, stream, ...record } of lastLines(wanted, limit)) {
      const key = `${record.worker} ${stream}`;
      const decoder = decoders.get(key) ?? new StringDecoder('utf8');
      decoders.set(key, decoder);
      const event = { id, event: 'output', ...record, stream: stream === 2 ? 'stderr' : 'stdout' };
      sendMessage(socket, { ...event, text: decoder.write(text) });
    }
    limit = Infinity;
    // Who reads slowly gets a gap, and costs no memory.
    if (socket.writableNeedDrain) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
    if (!follow || socket.destroyed) return;
    await new Promise((resolve) => setTimeout(resolve, INTERVAL).unref());
  }
}

/**
 * @param {import('../../binding').LogRecord[]} records
 * @param {number} limit
 */
function lastLines(records, limit) {
  if (limit === Infinity) return records;
  const last = [];
  let left = limit;
  for (const record of records.toReversed()) {
    if (left <= 0) break;
    const text = record.text.toString();
    const all = text.split('\n');
    const complete = text.endsWith('\n') ? all.length - 1 : all.length;
    const kept = complete > left ? all.slice(complete - left).join('\n') : text;
    left -= complete;
    last.push({ ...record, text: Buffer.from(kept) });
  }
  return last.toReversed();
}

module.exports = { followLogs };
