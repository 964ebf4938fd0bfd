'use strict';
// @ts-check

// What goes over the control socket: a JSON document a line. A request is `{ id, command, ... }`; its answers are any
// number of `{ id, event, ... }` and one `{ id, ok: true, result }` or `{ id, ok: false, error: { message, code } }`.

const { StringDecoder } = require('node:string_decoder');

/** Longest line that is read, in characters: nobody fills the memory of the other side. */
const LONGEST_LINE = 16 << 20;

/**
 * Calls `onMessage` with each document that arrives.
 * @param {import('node:net').Socket} socket
 * @param {(message: any) => void} onMessage
 * @param {(error: Error) => void} onNonsense called once, and nothing is read after that
 * @param {number} [longest]
 */
function readMessages(socket, onMessage, onNonsense, longest = LONGEST_LINE) {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  socket.on('data', onData);

  /** @param {Buffer} data */
  function onData(data) {
    const lines = (rest + decoder.write(data)).split('\n');
    rest = /** @type {string} */ (lines.pop());
    if (rest.length > longest) return stop(new Error(`a line of more than ${longest} characters`));
    for (const line of lines) {
      let message;
      try {
        message = JSON.parse(line);
      } catch {
        return stop(new Error('a line that is not JSON'));
      }
      if (message === null || typeof message !== 'object') return stop(new Error('a line that is no object'));
      onMessage(message);
    }
  }

  /** @param {Error} error */
  function stop(error) {
    socket.off('data', onData);
    onNonsense(error);
  }
}

/**
 * Sends one document; false if the other side does not keep up.
 * @param {import('node:net').Socket} socket
 * @param {object} message
 */
function sendMessage(socket, message) {
  return socket.writable && socket.write(`${JSON.stringify(message)}\n`);
}

module.exports = { readMessages, sendMessage };
