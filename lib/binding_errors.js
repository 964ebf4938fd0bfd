'use strict';
// @ts-check

// Why the binding did not load, and the way out.

const path = require('node:path');

const ARCHITECTURES = ['x64', 'arm64'];
/** The glibc the published binaries are built for. */
const GLIBC = '2.28';

/**
 * @param {unknown} error
 * @param {string | undefined} file what was to be loaded, if it was found
 * @returns {string} half a sentence, to stand after "because"
 */
function explain(error, file) {
  const { arch } = process;
  const [message] = /** @type {Error} */ (error).message.split('\n');
  if (file !== undefined) return `its binding did not load: ${message}${adviceOn(message, file)}`;

  const name = /@rcluster\/binding-[a-z0-9-]+/.exec(message)?.[0];
  if (name === undefined) return `its binding was not found: ${message}`;
  if (!ARCHITECTURES.includes(arch)) {
    return `there is no binary for ${arch} processors; there are some for ${ARCHITECTURES.join(' and ')}`;
  }
  return (
    `the package ${name} is not installed. It is an optional dependency of rcluster: install without ` +
    '--omit=optional, and anew where node_modules or the lock file were made on another platform'
  );
}

/**
 * What to do about what the dynamic linker says.
 * @param {string} message
 * @param {string} file
 */
function adviceOn(message, file) {
  if (message.includes('GLIBC_')) {
    return `. The binary needs glibc ${GLIBC} or newer: use a newer system or base image, or build rcluster on this one`;
  }
  if (message.includes('failed to map segment') || message.includes('Operation not permitted')) {
    return `. Its file system seems to be mounted noexec: install into another one, or mount that of ${path.dirname(file)} with exec`;
  }
  if (message.includes('Permission denied')) {
    return `. The user ${process.getuid?.()} may not read it: see to the rights on ${file}`;
  }
  return '';
}

module.exports = { explain };
