'use strict';
// @ts-check

const os = require('node:os');

const { SafeMap, entries } = require('../untampered');

/** @type {Map<number, string>} */
const names = new SafeMap();
// Where two names share a number (SIGABRT and SIGIOT, SIGIO and SIGPOLL), the first is the one Node prints.
for (const [name, number] of entries(os.constants.signals)) if (!names.has(number)) names.set(number, name);

/** The name of a signal; '' for one that has none, such as a real-time signal. @param {number} number */
function signalName(number) {
  return names.get(number) ?? '';
}

module.exports = { signalName };
