'use strict';
// @ts-check

// A probe of this worker: a request to one of its own servers, over a connection that only this process has.

const http = require('node:http');
const tls = require('node:tls');
const { Duplex } = require('node:stream');

const { servers } = require('./drain');

/** Two ends of a connection within this process. */
function pair() {
  /** @type {Duplex[]} */
  const ends = [0, 1].map(
    (own) =>
      new Duplex({
        read() {},
        write(chunk, _, done) {
          ends[1 - own].push(chunk);
          done();
        },
        final(done) {
          ends[1 - own].push(null);
          done();
        },
      }),
  );
  return ends;
}

/** @param {any} server */
function isSecure(server) {
  return server instanceof tls.Server && server.listenerCount('request') > 0;
}

/**
 * The status with which a path is answered.
 * @param {{ path: string, port?: number }} probe
 * @returns {Promise<number>}
 */
function probe({ path, port }) {
  const isMeant = (/** @type {any} */ server) =>
    (server instanceof http.Server || isSecure(server)) &&
    (port === undefined || /** @type {any} */ (server.address())?.port === port);
  const server = [...servers].find(isMeant);
  if (server === undefined) return Promise.reject(new Error('it has no such server'));
  const [ours, theirs] = pair();
  // As if its TLS had been done.
  server.emit(isSecure(server) ? 'secureConnection' : 'connection', theirs);
  return new Promise((resolve, reject) => {
    const request = http.request({
      path,
      headers: { host: 'localhost', connection: 'close' },
      createConnection: () => /** @type {any} */ (ours),
    });
    request.on('error', reject);
    request.on('response', (response) => {
      response.resume();
      response.on('end', () => {
        resolve(response.statusCode ?? 0);
        theirs.destroy();
      });
    });
    request.end();
  });
}

module.exports = { probe };
