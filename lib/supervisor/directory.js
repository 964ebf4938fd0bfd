'use strict';
// @ts-check

const fs = require('node:fs');
const path = require('node:path');

/** The directory as whoever started this process named it, with its symbolic links. */
function logicalDirectory() {
  const { PWD } = process.env;
  const physical = process.cwd();
  try {
    if (PWD !== undefined && path.isAbsolute(PWD) && fs.realpathSync(PWD) === physical) return PWD;
  } catch {
    // It was removed, or renamed.
  }
  return physical;
}

module.exports = { logicalDirectory };
