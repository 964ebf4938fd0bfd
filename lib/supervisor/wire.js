'use strict';
// @ts-check

// How a supervisor and its workers talk: messages that programs do not see, as those of Node's own cluster.

/** A prefix that Node keeps out of 'message'. */
const CMD = 'NODE_SUPERVISOR';
/** Names what a worker is told at its start; taken out of its environment at once. */
const VARIABLE = 'RCLUSTER_SUPERVISED';

/**
 * Sends one; whether it could be.
 * @param {any} target a child, or `process`
 * @param {object} message
 */
function send(target, message) {
  if (!target.connected) return false;
  // A channel that is closing is no error here: the end of the process tells.
  target.send({ cmd: CMD, ...message }, undefined, undefined, () => {});
  return true;
}

/**
 * Has them handled.
 * @param {any} target a child, or `process`
 * @param {(message: any) => void} handler
 */
function listen(target, handler) {
  target.on('internalMessage', (/** @type {any} */ message) => {
    if (message.cmd === CMD) handler(message);
  });
}

module.exports = { VARIABLE, listen, send };
