'use strict';
// @ts-check

// Figures for people.

/** @param {number | undefined} bytes */
function size(bytes) {
  if (bytes === undefined) return '-';
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let at = 0;
  let value = bytes;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1024;
    at++;
  }
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

/** @param {number | undefined} milliseconds */
function duration(milliseconds) {
  if (milliseconds === undefined) return '-';
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${seconds % 60}s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h${minutes % 60}m` : `${Math.floor(hours / 24)}d${hours % 24}h`;
}

/** @param {number} number @param {string} what */
function many(number, what) {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

/**
 * Rows under their headings, numbers to the right.
 * @param {string[]} headings
 * @param {(string | number)[][]} rows
 */
function table(headings, rows) {
  const all = [headings, ...rows.map((row) => row.map(String))];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const isNumber = headings.map((_, column) =>
    rows.every((row) => /^-?[\d.]*( ?[a-zA-Z%]+\d*[a-z]*)?$/.test(`${row[column]}`)),
  );
  const lines = all.map((row) =>
    row
      .map((cell, at) => (isNumber[at] ? cell.padStart(widths[at]) : cell.padEnd(widths[at])))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

/** @param {any} status as `rcluster status --json` prints it */
function statusTable(status) {
  const { name, pid, state, uptime, restarts, reloads, http, workers } = status;
  const facts = [
    `pid ${pid}`,
    state,
    `up ${duration(uptime)}`,
    many(restarts, 'restart'),
    many(reloads, 'reload'),
  ];
  if (http) facts.push(http);
  const rows = workers.map((/** @type {any} */ worker) => [
    worker.id,
    worker.pid ?? '-',
    worker.state,
    duration(worker.uptime),
    worker.restarts,
    worker.load ? `${Math.round(worker.load.utilization * 100)}%` : '-',
    worker.load ? worker.load.open : '-',
    worker.lastExit?.reason ?? '',
  ]);
  const headings = ['id', 'pid', 'state', 'up', 'restarts', 'loop', 'conns', 'last exit'];
  return `${name}: ${facts.join(', ')}\n${table(headings, rows)}`;
}

module.exports = { duration, many, size, statusTable, table };
