'use strict';
// @ts-check

// Runs an app in the foreground: its supervisor, and all by which that is steered and seen.

const path = require('node:path');

const { version } = require('../../package.json');
const { reapOrphans } = require('../supervisor/orphans');
const { takeSystemd } = require('../supervisor/systemd');
const { CommandError, exitCodes, oneLine, usageError } = require('./errors');
const { openControl, openHttp, openLogs } = require('./instruments');
const { readSettings } = require('./settings');
const { handleSignals } = require('./signals');

/** Options of which a reload takes up what the config file says now; for others it takes a restart. */
const RELOADABLE = ['exec', 'args', 'env', 'instances'];

/**
 * Runs until the workers have ended for good.
 * @param {import('./settings').Request} request
 * @returns {Promise<number>} the exit code
 */
async function run(request) {
  const settings = await readSettings(request);
  const { forCommand, forSupervisor } = settings;
  const systemd = takeSystemd();
  const logs = openLogs(forCommand);
  /** @type {import('../supervisor/control').Instance} */
  const instance = {
    supervisor: undefined,
    logs,
    reload: () => reload(request, settings, instance, print),
    describe: () => ({
      cwd: process.cwd(),
      control: control?.path,
      http: http?.url,
      config: settings.file && path.resolve(settings.file),
      version,
      node: process.version,
    }),
  };
  /** @param {string} text */
  function print(text) {
    if (logs === undefined) process.stderr.write(`rcluster: ${text.replaceAll('\n', '\nrcluster: ')}\n`);
    else logs.print(text);
  }
  /** @type {Awaited<ReturnType<typeof openControl>>} */
  let control;
  /** @type {Awaited<ReturnType<typeof openHttp>>} */
  let http;
  try {
    // Before any worker: what cannot be opened is reported with nothing started.
    control = await openControl(forCommand.control, instance, print);
    http = await openHttp(forCommand.http, instance);
    return await supervised();
  } finally {
    await http?.close();
    await control?.close();
    logs?.finish();
  }

  async function supervised() {
    const { supervise } = require('../supervisor');
    const stdio = forSupervisor.stdio ?? logs?.stdio.bind(logs);
    const supervisor = supervise({ exec: forSupervisor.exec, ...forSupervisor, stdio });
    instance.supervisor = supervisor;
    supervisor.on('log', (/** @type {any} */ { message }) => print(message));
    systemd?.follow(supervisor);
    if (http !== undefined) print(`status page at ${http.url}`);
    const stopReaping = reapOrphans(print);
    const signals = handleSignals(supervisor, {
      reload: instance.reload,
      reopen: () => logs?.reopen(),
      print,
    });
    const { reason, error } = await supervisor.stopped;
    stopReaping();
    if (signals.killedBy !== undefined) return 128 + signals.killedBy;
    if (reason !== 'giveUp') return exitCodes.OK;
    // What they wrote to stderr has been printed when they did.
    throw new CommandError(oneLine(/** @type {any} */ (error)?.reason ?? 'the workers keep failing'));
  }
}

/**
 * Replaces the workers, by what the config file says now.
 * @param {import('./settings').Request} request
 * @param {import('./settings').Settings} settings as the instance was started
 * @param {import('../supervisor/control').Instance} instance
 * @param {(text: string) => void} print
 */
async function reload(request, settings, { supervisor }, print) {
  if (supervisor === undefined) throw new CommandError('the instance is still starting');
  if (settings.file === undefined) return await supervisor.reload();
  const now = await readSettings({ ...request, config: settings.file }, { fresh: true });
  const names = [
    ...changes(settings.forSupervisor, now.forSupervisor).filter((name) => !RELOADABLE.includes(name)),
    ...changes(settings.forCommand, now.forCommand),
  ];
  if (names.length > 0) print(`${settings.file}: what has changed in ${names.join(', ')} takes a restart`);
  const { exec, args, instances } = now.checked;
  const { env } = now.forSupervisor;
  const outcome = await supervisor.reload({ exec, args, env: typeof env === 'function' ? env() : env });
  if (instances !== settings.checked.instances) await supervisor.scale(instances);
  settings.checked = now.checked;
  return outcome;
}

/** @param {Record<string, any>} before @param {Record<string, any>} after */
function changes(before, after) {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  // Functions differ each time the file is read.
  return [...names].filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
}

/**
 * Only checks what an instance would be started with.
 * @param {import('./settings').Request} request
 * @param {boolean} json
 */
async function check(request, json) {
  const { file, forSupervisor, forCommand } = await readSettings(request);
  if (request.script === undefined && file === undefined) throw usageError('there is nothing to check');
  const what = file ?? request.script;
  if (json)
    process.stdout.write(
      `${JSON.stringify({ ok: true, file, options: { ...forSupervisor, ...forCommand } })}\n`,
    );
  else process.stdout.write(`${what}: all right\n`);
  return exitCodes.OK;
}

module.exports = { check, run };
