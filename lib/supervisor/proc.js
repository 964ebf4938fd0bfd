'use strict';
// @ts-check

// What /proc tells of another process.

const fs = require('node:fs');

/** Whether a process has a handler for a signal. @param {number} pid @param {number} signal */
function catching(pid, signal) {
  try {
    const [, mask] = /^SigCgt:\s*([0-9a-f]+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    return mask !== undefined && ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
  } catch {
    return false;
  }
}

module.exports = { catching };
