// The package from ES modules: named imports are found without running the package.

import nodeChildProcess from 'node:child_process';
import nodeCluster from 'node:cluster';

import cluster, * as clusterNames from 'rcluster';
import childProcess, * as childProcessNames from 'rcluster/child_process';
import { expect, test } from 'vitest';

test("every export of Node's modules can be imported by name", () => {
  // What an EventEmitter keeps in itself is no part of the interface.
  const inner = new Set(['_events', '_eventsCount', '_maxListeners']);
  const names = Object.keys(nodeCluster).filter((name) => !inner.has(name));
  expect(names.filter((name) => !(name in clusterNames))).toEqual([]);
  const childProcessExports = Object.keys(nodeChildProcess);
  expect(childProcessExports.filter((name) => !(name in childProcessNames))).toEqual([]);
});

test('the default import is what require gives', () => {
  expect(cluster).toBe(nodeCluster);
  expect(childProcess.spawn).toBe(childProcessNames.spawn);
});
