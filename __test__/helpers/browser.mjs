// A real browser without a window, spoken to by the DevTools protocol: the one that is installed, else that of npm.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';

import { WebSocket } from 'ws';

const INSTALLED = [process.env.RCLUSTER_TEST_BROWSER, 'chromium', 'chromium-browser', 'google-chrome'];
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];

/** The program; undefined where there is none for this machine. */
async function findBrowser() {
  const installed = INSTALLED.find((name) => name && spawnSync(name, ['--version']).status === 0);
  if (installed !== undefined || process.arch !== 'x64') return installed;
  const { default: chromium } = await import('@sparticuz/chromium');
  return chromium.executablePath();
}

export const browser = await findBrowser();

/**
 * Opens a page. `messages` collects what it writes to the console, what it throws, and what its policy refuses.
 * @param {string} url
 */
export async function openPage(url) {
  const profile = mkdtempSync(join(tmpdir(), 'rcluster-browser-'));
  const args = [...FLAGS, `--user-data-dir=${profile}`, '--remote-debugging-port=0'];
  const child = spawn(browser, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  const close = async () => {
    process.kill(-child.pid, 'SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const socket = new WebSocket(await devTools(child));
    await once(socket, 'open');
    return { close, ...(await attach(socket, url)) };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @param {import('node:child_process').ChildProcess} child @returns {Promise<string>} where it listens */
function devTools(child) {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (data) => {
      text += data;
      const address = /DevTools listening on (\S+)/.exec(text)?.[1];
      if (address !== undefined) resolve(address);
    });
    child.on('exit', (code, signal) =>
      reject(new Error(`the browser has ended (${code ?? signal}): ${text}`)),
    );
  });
}

/** @param {WebSocket} socket @param {string} url */
async function attach(socket, url) {
  const waiting = new Map();
  const messages = [];
  let last = 0;
  socket.on('message', (data) => {
    const { id, method, params, result, error } = JSON.parse(data);
    if (id !== undefined) waiting.get(id)?.(error ?? result);
    else if (method === 'Runtime.consoleAPICalled')
      messages.push(params.args.map(({ value }) => value).join(' '));
    else if (method === 'Runtime.exceptionThrown') messages.push(params.exceptionDetails.text);
    else if (method === 'Log.entryAdded') messages.push(params.entry.text);
  });
  const call = (method, params, sessionId) =>
    new Promise((resolve) => {
      waiting.set(++last, resolve);
      socket.send(JSON.stringify({ id: last, method, params, sessionId }));
    });

  const { targetId } = await call('Target.createTarget', { url: 'about:blank', width: 1240, height: 620 });
  const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
  for (const domain of ['Runtime', 'Log', 'Page']) await call(`${domain}.enable`, {}, sessionId);
  await call('Page.navigate', { url }, sessionId);
  return {
    messages,
    /** @param {string} expression */
    async evaluate(expression) {
      const { result } = await call('Runtime.evaluate', { expression, returnByValue: true }, sessionId);
      return result?.value;
    },
    /** As PNG. */
    async screenshot() {
      const { data } = await call('Page.captureScreenshot', {}, sessionId);
      return Buffer.from(data, 'base64');
    },
  };
}
