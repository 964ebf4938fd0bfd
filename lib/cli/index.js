'use strict';
// @ts-check

// The command `rcluster`: what it takes, and which part does it.

const { Command, CommanderError, Option } = require('commander');

const { version } = require('../../package.json');
const { CommandError, exitCodes, oneLine, usageError } = require('./errors');
const { flags } = require('./options');

const EPILOGUE = `
Arguments behind -- go to the app: rcluster app.js -w 4 -- --port 8000

Signals: SIGHUP reloads; SIGTERM and SIGINT drain and stop, the second one at once; SIGTTIN and SIGTTOU start and
stop a worker; SIGUSR1 opens the log files anew.

Exit codes: 0 done, 1 failed, 2 wrong usage (nothing was started), 128 + signal when a second signal ended it.`;

/**
 * Runs the command and ends the process.
 * @param {string[]} [argv] without node and the script
 */
async function main(argv = process.argv.slice(2)) {
  const isJson = argv.includes('--json');
  try {
    process.exitCode = await execute(argv);
  } catch (error) {
    process.exitCode = report(error, isJson);
  }
  // A handle that somebody has forgotten, in a config file perhaps, must not keep what has ended.
  process.exit();
}

/** @param {string[]} argv @returns {Promise<number>} the exit code */
async function execute(argv) {
  // Cut off here: what is behind -- is the app's, and must not look like operands of ours.
  const end = argv.indexOf('--');
  const args = end === -1 ? [] : argv.slice(end + 1);
  const own = end === -1 ? argv : argv.slice(0, end);
  /** @type {number} */
  let exitCode = exitCodes.OK;
  const program = build(args, (code) => (exitCode = code));
  await program.parseAsync(own, { from: 'user' });
  return exitCode;
}

/**
 * @param {string[]} args of the app
 * @param {(exitCode: number) => void} end
 */
function build(args, end) {
  const program = new Command('rcluster');
  const commands = ['status', 'reload', 'scale', 'stop', 'logs', 'top'];
  program
    .description('Runs a Node.js app as a supervised cluster, in the foreground, and steers it.')
    .version(version, '-V, --version')
    .usage('[options] <script> [-- arguments]\n       rcluster <command> [options]')
    .argument('[script]', 'the app: JavaScript, CommonJS or ES module; TypeScript where Node runs it')
    .argument('[more...]')
    .addHelpText('after', EPILOGUE)
    .showHelpAfterError(false)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  program.option('-c, --config <file>', 'instead of rcluster.config.{js,cjs,mjs,json} in this directory');
  program.option('--check', 'only check the options and the config file');
  program.option('--json', 'print JSON; of a running app: its log lines as JSON');
  for (const { flags: text, about } of Object.values(flags)) program.addOption(new Option(text, about));
  program.option('--no-control', 'no control socket');

  program.action(async (script, more, given) => {
    if (more.length > 0) {
      throw usageError(`there is no argument "${more[0]}"; what the app is to get goes behind --`);
    }
    const { check, config, json } = given;
    const options = parse(given, program);
    if (json && options.logFormat === undefined) options.logFormat = 'json';
    const request = { script, args, options, config, commands };
    const { check: checkOnly, run } = require('./run');
    end(check ? await checkOnly(request, json) : await run(request));
  });

  /**
   * @param {string} usage
   * @param {string} about
   * @param {(options: any, ...operands: string[]) => Promise<unknown>} action
   */
  const command = (usage, about, action) => {
    const sub = program.command(usage).description(about).exitOverride();
    sub.configureOutput({ outputError: () => {} });
    sub.action(async (...given) => {
      if (args.length > 0) throw usageError(`${sub.name()} takes no arguments behind --`);
      const operands = given.slice(0, -2);
      const { control, json, ...options } = sub.optsWithGlobals();
      await action({ ...options, json, control: control || undefined }, ...operands);
    });
    return sub;
  };
  const lazy = (/** @type {keyof typeof import('./steer')} */ name) => {
    return (/** @type {any} */ options, /** @type {any[]} */ ...operands) =>
      /** @type {any} */ (require('./steer'))[name](...operands, options);
  };
  command('status', 'what the workers do', lazy('status'));
  command('reload', 'replace every worker, the new one first', lazy('reload'));
  command('scale <number>', 'run so many workers', lazy('scale'));
  command('stop', 'drain the workers and end', lazy('stop'))
    .option('--timeout <time>', 'kill those that take longer')
    .option('--force', 'do not drain');
  command('logs', 'what the workers have printed', lazy('logs'))
    .option('-f, --follow', 'and what they print from now on')
    .option('-l, --lines <number>', 'only the last')
    .option('--worker <id>', 'of one worker');
  command('top', 'a live table', (options) => require('./top').top(options)).option(
    '-n, --count <number>',
    'end after so many refreshes',
  );
  return program;
}

/**
 * The options of the run command, parsed.
 * @param {Record<string, any>} given
 * @param {Command} program
 */
function parse(given, program) {
  /** @type {Record<string, any>} */
  const options = {};
  for (const [name, { flags: text, parse: parseValue }] of Object.entries(flags)) {
    const long = /** @type {string} */ (new Option(text).long);
    const key = new Option(text).attributeName();
    // Without a flag commander has a default for --no-control, which would hide what the config file says.
    if (program.getOptionValueSource(key) !== 'cli') continue;
    options[name] = typeof given[key] === 'string' && parseValue ? parseValue(given[key], long) : given[key];
  }
  return options;
}

/** Prints an error; the exit code for it. @param {any} thrown @param {boolean} isJson @returns {number} */
function report(thrown, isJson) {
  // Help and version have been printed.
  if (thrown instanceof CommanderError && thrown.exitCode === 0) return exitCodes.OK;
  const isUsage = thrown instanceof CommanderError;
  const error = isUsage ? usageError(oneLine(thrown.message).replace(/^error: /, '')) : thrown;
  const { message, stack, code } = error;
  const isKnown = error instanceof CommandError;
  if (isJson) process.stdout.write(`${JSON.stringify({ ok: false, error: { message, code } })}\n`);
  // What is not expected is a bug, or the app's config file: then the stack is what helps.
  process.stderr.write(isKnown ? `rcluster: ${oneLine(message)}\n` : `rcluster: ${stack ?? error}\n`);
  return isKnown ? error.exitCode : exitCodes.FAILED;
}

module.exports = { execute, main };
