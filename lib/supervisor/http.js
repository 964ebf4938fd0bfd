'use strict';
// @ts-check

// What a load balancer, Prometheus and people ask of a supervisor. It answers by itself: a worker that hangs holds
// nothing up, and its figures come from shared memory and /proc.

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const { AppMetrics } = require('./app_metrics');
const openMetrics = require('./open_metrics');

const PAGE = path.join(__dirname, 'page.html');
const TEXT = 'text/plain; charset=utf-8';

/**
 * @typedef {object} Answer
 * @property {number} [status]
 * @property {string} [type]
 * @property {string} body
 * @property {Record<string, string>} [headers]
 */

/**
 * Serves `/livez`, `/readyz`, `/metrics`, `/status.json` and the status page.
 * @param {import('./control').Instance} instance
 * @param {{ host: string, port: number } | { path: string }} address
 * @returns {Promise<{ url: string, close(): Promise<void> }>}
 * @throws {Error} where the address cannot be had
 */
async function serveHttp(instance, address) {
  const appMetrics = new AppMetrics();
  const server = http.createServer({ requestTimeout: 10_000 }, (request, response) => {
    respond(instance, appMetrics, request).then(
      (answer) => send(request, response, answer),
      (error) => send(request, response, { status: 500, body: `${error.message}\n` }),
    );
  });
  if ('path' in address) removeDeadSocket(address.path);
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...address }, () => resolve(undefined));
  });
  // The supervisor lives as long as its workers do.
  server.unref();
  return {
    url: urlOf(server),
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A socket that nobody has is one that a killed instance has left. @param {string} file */
function removeDeadSocket(file) {
  const isSocket = fs.lstatSync(file, { throwIfNoEntry: false, bigint: true })?.isSocket();
  if (!isSocket) return;
  const inUse = fs
    .readFileSync('/proc/net/unix', 'latin1')
    .split('\n')
    .some((line) => line.endsWith(` ${file}`));
  if (!inUse) fs.unlinkSync(file);
}

/** @param {http.Server} server */
function urlOf(server) {
  const address = server.address();
  if (address === null || typeof address === 'string') return `unix:${address}`;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}/`;
}

/**
 * @param {import('./control').Instance} instance
 * @param {InstanceType<typeof AppMetrics>} appMetrics
 * @param {http.IncomingMessage} request
 * @returns {Promise<Answer>}
 */
async function respond(instance, appMetrics, { method, url = '/', headers }) {
  const { supervisor } = instance;
  const { pathname } = new URL(url, 'http://localhost');
  if (!Object.hasOwn(routes, pathname)) return { status: 404, body: 'not found\n' };
  if (method !== 'GET' && method !== 'HEAD') {
    return { status: 405, body: 'only GET\n', headers: { allow: 'GET, HEAD' } };
  }
  if (supervisor === undefined) return { status: 503, body: 'starting\n' };
  return await routes[pathname]({ ...instance, supervisor }, appMetrics, headers.accept ?? '');
}

/** @type {Record<string, (instance: any, appMetrics: InstanceType<typeof AppMetrics>, accept: string) => Answer | Promise<Answer>>} */
const routes = {
  '/': () => page(),
  '/livez': ({ supervisor }) => health(supervisor.isLive, 'not live'),
  '/readyz': ({ supervisor }) => health(supervisor.isReady, 'not ready'),
  '/status.json': (instance) => json(describe(instance)),
  '/metrics.json': (instance) => json(instance.supervisor.metrics()),
  async '/metrics'(instance, appMetrics, accept) {
    const { supervisor } = instance;
    if (accept.includes('application/json')) return json(supervisor.metrics());
    const isOpenMetrics = accept.includes('application/openmetrics-text');
    const families = openMetrics.families(supervisor.metrics(), {
      name: supervisor.name,
      droppedLogBytes: instance.logs?.dropped,
    });
    const ofApp = await appMetrics.collect(supervisor);
    const type = isOpenMetrics ? openMetrics.OPEN_METRICS_TYPE : openMetrics.PROMETHEUS_TYPE;
    return { type, body: openMetrics.render([...families, ...ofApp], isOpenMetrics) };
  },
};

/** @param {boolean} isWell @param {string} otherwise @returns {Answer} */
function health(isWell, otherwise) {
  return isWell ? { body: 'ok\n' } : { status: 503, body: `${otherwise}\n` };
}

/** @param {object} value @returns {Answer} */
function json(value) {
  return { type: 'application/json', body: `${JSON.stringify(value)}\n` };
}

/** @param {any} instance */
function describe({ supervisor, describe: more }) {
  return { status: { ...supervisor.status(), ...more() }, metrics: supervisor.metrics() };
}

/** @type {Answer | undefined} */
let pageAnswer;

/** The status page: one file, which may load nothing and may speak to nobody but us. @returns {Answer} */
function page() {
  if (pageAnswer !== undefined) return pageAnswer;
  const body = fs.readFileSync(PAGE, 'utf8');
  const { createHash } = require('node:crypto');
  const hashes = (/** @type {string} */ tag) =>
    [...body.matchAll(new RegExp(`<${tag}>([^]*?)</${tag}>`, 'g'))]
      .map(([, text]) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
      .join(' ');
  const policy = [
    "default-src 'none'",
    `script-src ${hashes('script')}`,
    `style-src ${hashes('style')}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  const headers = { 'content-security-policy': policy.join('; '), 'referrer-policy': 'no-referrer' };
  pageAnswer = { type: 'text/html; charset=utf-8', body, headers };
  return pageAnswer;
}

/** @param {http.IncomingMessage} request @param {http.ServerResponse} response @param {Answer} answer */
function send({ method }, response, { status = 200, type = TEXT, body, headers }) {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  response.end(method === 'HEAD' ? undefined : body);
}

module.exports = { serveHttp };
