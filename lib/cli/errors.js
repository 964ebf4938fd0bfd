'use strict';
// @ts-check

// What the command says when it does not do what it was asked, and the exit code it says it with.

/** Exit codes of the command; docs/command.md has the same list. */
const exitCodes = Object.freeze({
  /** Done; or the workers were stopped as asked. */
  OK: 0,
  /** It was tried and failed; the reason is on stderr. */
  FAILED: 1,
  /** A wrong option, config file or script: nothing was started. Trying again changes nothing. */
  USAGE: 2,
});

/** An error whose message is all that a user needs to see. */
class CommandError extends Error {
  /**
   * @param {string} message one line that says what to do
   * @param {number} [exitCode]
   * @param {string} [code] for programs
   */
  constructor(message, exitCode = exitCodes.FAILED, code = undefined) {
    super(message);
    this.name = 'CommandError';
    this.exitCode = exitCode;
    this.code = code;
  }
}

/** @param {string} message @returns {CommandError} */
function usageError(message) {
  return new CommandError(message, exitCodes.USAGE, 'ERR_RCLUSTER_USAGE');
}

/** One line of what may be several. @param {string} text */
function oneLine(text) {
  return text.trim().replace(/\s*\n\s*/g, ' ');
}

module.exports = { CommandError, exitCodes, oneLine, usageError };
