'use strict';
// @ts-check

// What workers print: labelled, to our own output or to files. A native thread moves it; nothing of it passes
// through JavaScript, so a worker that prints a lot does not hold up the supervisor.

const fs = require('node:fs');
const path = require('node:path');
const util = require('node:util');

const { binding } = require('../native');

const STDOUT = 1;
const STDERR = 2;
/** How long the end of the supervisor may take for what is still in the workers' pipes, in milliseconds. */
const FINISH_LIMIT = 2000;

/**
 * @typedef {object} LogOptions
 * @property {'prefix' | 'plain' | 'json'} [format] how a line looks; `prefix`
 * @property {boolean} [time] whether a prefix begins with the time; false
 * @property {string} [file] what goes to stdout goes to this file
 * @property {string} [errorFile] what goes to stderr goes to this one; `file`
 */

/** Moves the output of all workers of a supervisor. */
class Logs {
  #pump;
  #files;
  /** How many processes there have been. */
  #started = 0;

  /**
   * @param {LogOptions} options
   * @throws {Error} where a file cannot be opened
   */
  constructor({ format = 'prefix', time = false, file, errorFile = file }) {
    this.#files = [
      { stream: STDOUT, file: file && path.resolve(file) },
      { stream: STDERR, file: errorFile && path.resolve(errorFile) },
    ];
    this.#pump = new binding.LogPump(format, time);
    this.reopen();
  }

  /** Opens the files anew, for logrotate. One that cannot be opened stays what it was, and the error is thrown. */
  reopen() {
    for (const { stream, file } of this.#files) {
      const errno = file === undefined ? 0 : this.#pump.setTarget(stream, file);
      if (errno < 0) throw openError(errno, /** @type {string} */ (file));
    }
  }

  /**
   * The stdio of a worker that is about to start: what supervise() takes as `stdio`.
   * @param {{ id: number }} worker its place
   */
  stdio({ id }) {
    const number = ++this.#started;
    const fds = [STDOUT, STDERR].map((stream) => this.#pump.open(id, number, stream));
    const close = () => fds.filter((fd) => fd >= 0).forEach((fd) => fs.closeSync(fd));
    const failed = fds.find((fd) => fd < 0);
    if (failed !== undefined) {
      close();
      throw openError(failed, "a worker's output");
    }
    return {
      stdio: ['ignore', ...fds, 'ipc'],
      started: close,
      isRead: () => this.#pump.isRead(number),
      tail: () => this.#pump.tail(number).toString(),
    };
  }

  /** Prints in the supervisor's own name, to stderr. Never blocks. @param {string} text */
  print(text) {
    this.#pump.print(STDERR, `${text}\n`);
  }

  /** What was printed from number `from` on, as far as it is kept; 0 for all of it. @param {number} from */
  since(from) {
    return this.#pump.since(from);
  }

  /** How many bytes could not be written. */
  get dropped() {
    return this.#pump.dropped;
  }

  /** Moves what was printed so far; nothing is moved after that. */
  finish() {
    this.#pump.finish(FINISH_LIMIT);
  }
}

/** @param {number} errno @param {string} file */
function openError(errno, file) {
  const [code, reason] = util.getSystemErrorMap().get(errno) ?? ['', `error ${-errno}`];
  return Object.assign(new Error(`cannot open ${file}: ${reason}`), { code, errno, path: file });
}

module.exports = { Logs };
