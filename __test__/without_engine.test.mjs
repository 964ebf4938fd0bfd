import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { fixture, runScript } from './helpers/run_script.mjs';

/** What Node's own modules give, and what they refuse. */
const served = {
  native: false,
  coverage: ['node'],
  nodeIsUntouched: true,
  sameCluster: true,
  missing: [],
  sync: 'hello\n',
  promised: 'hello\n',
  isNodes: true,
  option: { code: 'ERR_RCLUSTER_UNSUPPORTED', message: expect.stringContaining('options.nice needs') },
  promisedOption: 'ERR_RCLUSTER_UNSUPPORTED',
  method: 'ERR_RCLUSTER_UNSUPPORTED',
  ofWorkers: Array(3).fill('ERR_RCLUSTER_UNSUPPORTED'),
};

test("where the engine is switched off, Node's own modules serve the same exports", async () => {
  const { code, stdout, stderr } = await runScript(fixture('without_engine.cjs'), {
    env: { RCLUSTER_DISABLE_NATIVE: '1' },
  });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual(served);
  expect(code).toBe(0);
});

test.runIf(process.platform === 'linux')('a binding that does not load on Linux is warned of', async () => {
  const { stdout, stderr } = await runScript(fixture('without_engine.cjs'), {
    env: { NAPI_RS_NATIVE_LIBRARY_PATH: '/no/such/file.node' },
  });
  expect(stderr).toMatch(/\[RCLUSTER_NO_BINDING\] Warning: rcluster runs on Node's own modules/);
  expect(JSON.parse(stdout)).toEqual(served);
});

test.runIf(process.platform === 'linux')(
  'a binding whose first use shows that it does not load',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'rcluster-'));
    const file = join(directory, 'no_library.node');
    writeFileSync(file, 'text');
    const { code, stdout, stderr } = await runScript(fixture('late_without_engine.cjs'), {
      execArgv: ['--require', 'rcluster/register'],
      env: { NAPI_RS_NATIVE_LIBRARY_PATH: file },
    });
    rmSync(directory, { recursive: true });
    expect(stderr.match(/RCLUSTER_NO_BINDING/g)).toHaveLength(1);
    expect(JSON.parse(stdout)).toEqual({
      sync: 'hello\n',
      promised: 'hello\n',
      code: 0,
      option: 'ERR_RCLUSTER_UNSUPPORTED',
      method: 'ERR_RCLUSTER_UNSUPPORTED',
      broadcast: 'ERR_RCLUSTER_UNSUPPORTED',
      weight: null,
      worker: 'ERR_RCLUSTER_UNSUPPORTED',
      served: 'from a worker',
      exited: [0, null],
      native: false,
      coverage: ['node'],
    });
    expect(code).toBe(0);
  },
);

test('the fork example runs without the engine', async () => {
  const example = fileURLToPath(new URL('reference/fork_example.cjs', import.meta.url));
  const withNode = await runScript(example, { module: 'node' });
  const withoutEngine = await runScript(example, { env: { RCLUSTER_DISABLE_NATIVE: '1' } });
  expect(withoutEngine).toEqual(withNode);
});
