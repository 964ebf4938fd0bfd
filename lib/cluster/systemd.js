'use strict';
// @ts-check

// Sockets that systemd has opened for the service: LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES.

/** @type {any} */
const cluster = require('node:cluster');

const FIRST_FD = 3;

/**
 * The sockets the primary was started with, for `server.listen({ fd })` in it or in its workers.
 * @returns {Array<{ fd: number, name: string }>}
 */
function listenFds() {
  const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES = '' } = process.env;
  // Inherited by somebody they were not meant for.
  if (Number(LISTEN_PID) !== (cluster.isPrimary ? process.pid : process.ppid)) return [];
  const names = LISTEN_FDNAMES.split(':');
  const count = Number(LISTEN_FDS) || 0;
  return Array.from({ length: count }, (_, at) => ({ fd: FIRST_FD + at, name: names[at] || 'unknown' }));
}

module.exports = { listenFds };
