// What a built binary asks of the system it will run on.

import { readFileSync } from 'node:fs';

/** The oldest glibc we promise to run on: that of Debian 10, RHEL 8 and Amazon Linux 2023's predecessors of 2018. */
export const OLDEST_GLIBC = '2.28';

/** The newest version of glibc's symbols that a binary uses; undefined where it uses none, as on musl. */
export function glibcOf(file) {
  // Names of versions stand in the table of strings, and nowhere else does anybody write GLIBC_2.28.
  const versions = readFileSync(file, 'latin1').match(/GLIBC_\d+\.\d+(?:\.\d+)?/g) ?? [];
  return versions
    .map((version) => version.slice('GLIBC_'.length))
    .sort(compareVersions)
    .at(-1);
}

/** Orders dotted numbers. */
export function compareVersions(a, b) {
  return a.localeCompare(b, 'en', { numeric: true });
}
