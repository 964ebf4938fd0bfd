'use strict';
// @ts-check

// Which processors there are for us, and which each worker gets.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { validateArray, validateOneOf } = require('../errors');

const CGROUP_ROOT = '/sys/fs/cgroup';

/** Places of the workers that run, the lowest free one for the next. @type {Set<number>} */
const places = new Set();

function freePlace() {
  let place = 0;
  while (places.has(place)) place++;
  return place;
}

/** Keeps the place of a worker that was started until it ends. @param {any} child */
function place(child) {
  const own = freePlace();
  places.add(own);
  // 'exit' does not come after an exec that failed, 'close' not after `child.disconnect()`.
  const free = () => {
    child.off('exit', free).off('close', free);
    places.delete(own);
  };
  child.on('exit', free).on('close', free);
}

/**
 * The processors of the next worker: with `spread` one each, in turn; of lists the next one.
 * @param {any} affinity
 * @returns {number[] | undefined}
 */
function affinityOf(affinity) {
  if (affinity === undefined || affinity === null) return undefined;
  if (affinity === 'spread') {
    const allowed = allowedProcessors();
    return allowed.length === 0 ? undefined : [allowed[freePlace() % allowed.length]];
  }
  if (typeof affinity === 'string') validateOneOf(affinity, 'settings.affinity', ['spread']);
  validateArray(affinity, 'settings.affinity');
  return affinity.length === 0 ? undefined : affinity[freePlace() % affinity.length];
}

/** @param {string} file @returns {string} its content, or nothing */
function read(file) {
  try {
    return fs.readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** The processors this process may run on. */
function allowedProcessors() {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(read('/proc/self/status'))?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

/**
 * The processors' worth of time that the cgroups of this process allow; Infinity without a limit.
 * @param {string} [root]
 * @param {string} [membership] the text of /proc/self/cgroup
 */
function cgroupQuota(root = CGROUP_ROOT, membership = read('/proc/self/cgroup')) {
  let least = Infinity;
  for (const line of membership.split('\n')) {
    const [, controllers, group] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (group === undefined) continue;
    const isUnified = controllers === '';
    if (!isUnified && !controllers.split(',').includes('cpu')) continue;
    const base = isUnified ? root : path.join(root, controllers);
    // A group's limit holds for all below it. In a container its own group may be the root.
    for (let at = group; ; at = path.dirname(at)) {
      least = Math.min(
        least,
        isUnified ? unifiedQuota(path.join(base, at)) : legacyQuota(path.join(base, at)),
      );
      if (at === '/' || at === '.') break;
    }
  }
  return least;
}

/** @param {string} directory */
function unifiedQuota(directory) {
  const [quota, period] = read(path.join(directory, 'cpu.max')).trim().split(' ').map(Number);
  return quota > 0 && period > 0 ? quota / period : Infinity;
}

/** @param {string} directory */
function legacyQuota(directory) {
  const quota = Number(read(path.join(directory, 'cpu.cfs_quota_us')));
  const period = Number(read(path.join(directory, 'cpu.cfs_period_us')));
  return quota > 0 && period > 0 ? quota / period : Infinity;
}

/** How many workers can run at once: what the processors, their mask and the container's quota allow, now. */
function availableParallelism() {
  return Math.max(1, Math.min(os.availableParallelism(), Math.ceil(cgroupQuota())));
}

module.exports = { affinityOf, availableParallelism, cgroupQuota, place };
