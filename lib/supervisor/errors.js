'use strict';
// @ts-check

// What goes wrong with workers, as errors.

/**
 * @typedef {object} Exit how a worker ended
 * @property {number | undefined} pid
 * @property {number | null} code
 * @property {string | null} signal
 * @property {string} reason in one line
 * @property {number} uptime in milliseconds
 * @property {number} at milliseconds since 1970
 * @property {string} stderr the end of what it wrote there
 * @property {boolean} wished it was told to
 */

/** The first line of an error in what a program wrote to stderr. @param {string} stderr */
function errorLine(stderr) {
  return /^(?:Uncaught )?(\w*(?:Error|Exception)(?: \[\w+\])?: .*|FATAL ERROR: .*)$/m.exec(stderr)?.[1];
}

/** How a process ended, in words. @param {number | null} code @param {string | null} signal */
function describeEnd(code, signal) {
  if (signal) return `was ended by ${signal}`;
  return `exited with code ${code}`;
}

/** @param {Exit} exit */
function withStderr({ stderr }) {
  const text = stderr.trimEnd();
  return text === '' ? '' : `\n${text}`;
}

/**
 * A worker that was to take over from another has failed.
 * @param {string} reason
 * @param {Exit | undefined} exit
 * @param {{ replaced: number, rolledBack: number, of: number }} outcome
 */
function reloadError(reason, exit, { replaced, rolledBack, of }) {
  let serving = 'the old workers go on';
  if (rolledBack > 0) serving = `${rolledBack} of ${of} workers were replaced and have been put back`;
  if (replaced > 0) serving = `${replaced} of ${of} workers run the new release, the others the old one`;
  const error = new Error(`The reload was given up, ${serving}: ${reason}`);
  const stderr = exit?.stderr ?? '';
  return Object.assign(error, { code: 'ERR_RCLUSTER_RELOAD', reason, exit, stderr, replaced, rolledBack });
}

/** Workers end again and again. @param {string} reason @param {Exit | undefined} exit */
function giveUpError(reason, exit) {
  const error = new Error(reason + (exit === undefined ? '' : withStderr(exit)));
  return Object.assign(error, { code: 'ERR_RCLUSTER_GIVE_UP', reason, exit, stderr: exit?.stderr ?? '' });
}

/** What is asked of a supervisor that has stopped, or stops. @param {string} what */
function stoppedError(what) {
  return Object.assign(new Error(`${what}: the supervisor has been stopped`), {
    code: 'ERR_RCLUSTER_STOPPED',
  });
}

module.exports = { describeEnd, errorLine, giveUpError, reloadError, stoppedError };
