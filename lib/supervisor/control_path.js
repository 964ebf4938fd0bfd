'use strict';
// @ts-check

// Where the control socket of an instance is, if nobody says: a directory of the user's own, a name made of the
// working directory. Not beside the app, which may be read-only or too deep for a socket's path; and not by
// environment variables, which differ between a service and the shell that steers it.

const fs = require('node:fs');
const path = require('node:path');

const { logicalDirectory } = require('./directory');

/** Longest path of a socket that the kernel takes, in bytes. */
const LONGEST = 107;

/** @param {number} [uid] */
function directory(uid = /** @type {any} */ (process).getuid()) {
  return `/tmp/rcluster-${uid}`;
}

/**
 * The default path of the instance that runs in a directory.
 * @param {string} [cwd]
 */
function defaultPath(cwd = process.cwd()) {
  return path.join(directory(), `${hash(fs.realpathSync(cwd))}.sock`);
}

/**
 * Where the same is found by the name that the directory has with its symbolic links, which may lead elsewhere by the time
 * that somebody looks: `current`, for example. Undefined where there are none.
 */
function linkPath() {
  const logical = logicalDirectory();
  return logical === process.cwd() ? undefined : path.join(directory(), `${hash(logical)}.sock`);
}

/**
 * Has the socket of this instance found by that name too; whoever was started last has it.
 * @param {string} socket
 * @returns {() => void} ends it
 */
function link(socket) {
  const at = linkPath();
  if (at === undefined) return () => {};
  const isOurs = () => {
    try {
      return fs.readlinkSync(at) === socket;
    } catch {
      return false;
    }
  };
  const fresh = `${at}.${process.pid}`;
  fs.rmSync(fresh, { force: true });
  fs.symlinkSync(socket, fresh);
  fs.renameSync(fresh, at);
  return () => {
    if (isOurs()) fs.rmSync(at, { force: true });
  };
}

/** FNV-1a of 64 bits, as the name of a file. Not by node:crypto: that takes 2 MB as long as the supervisor lives. @param {string} text */
function hash(text) {
  let value = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) value = BigInt.asUintN(64, (value ^ BigInt(byte)) * 0x100000001b3n);
  return value.toString(16).padStart(16, '0');
}

/**
 * Makes the directory of default paths, or makes sure that it is what we would have made.
 * @throws {Error} where somebody else has made it
 */
function prepareDirectory() {
  const own = directory();
  try {
    fs.mkdirSync(own, { mode: 0o700 });
  } catch (error) {
    if (/** @type {any} */ (error).code !== 'EEXIST') throw error;
  }
  const { uid, mode } = fs.lstatSync(own);
  const isOurs = uid === /** @type {any} */ (process).getuid() && (mode & 0o170077) === 0o040000;
  if (!isOurs) throw new Error(`${own} belongs to somebody else, or is open to others`);
}

/**
 * The sockets of other users' instances that run in this directory, for who may see them: root. They are named to him and
 * not used, as anybody could have made one.
 */
function othersPaths() {
  const name = path.basename(defaultPath());
  const others = fs.readdirSync('/tmp').filter((entry) => /^rcluster-\d+$/.test(entry));
  const paths = others.map((entry) => path.join('/tmp', entry, name));
  return paths.filter((socket) => fs.lstatSync(socket, { throwIfNoEntry: false, bigint: true })?.isSocket());
}

/** The sockets of this user's instances at default paths, dead ones too. */
function knownPaths() {
  try {
    const entries = fs.readdirSync(directory(), { withFileTypes: true });
    const sockets = entries.filter((entry) => entry.isSocket() && entry.name.endsWith('.sock'));
    return sockets.map(({ name }) => path.join(directory(), name));
  } catch {
    return [];
  }
}

module.exports = { LONGEST, defaultPath, knownPaths, link, linkPath, othersPaths, prepareDirectory };
