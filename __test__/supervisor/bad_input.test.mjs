// What is wrong is said in one line, and nothing is started.

import { expect, test } from 'vitest';

import { library, supervise } from '../helpers/supervisor.mjs';
import { fixture } from '../helpers/run_script.mjs';

const exec = fixture('supervisor/app.cjs');

test.each([
  [undefined, 'ERR_INVALID_ARG_TYPE', '"options"'],
  [{}, 'ERR_INVALID_ARG_TYPE', '"options.exec"'],
  [{ exec: 'no/such/file.js' }, 'ERR_RCLUSTER_NO_SCRIPT', 'no/such/file.js'],
  [{ exec, instance: 2 }, 'ERR_RCLUSTER_OPTION', '"options.instance": did you mean "instances"?'],
  [{ exec, maxoldspacemb: 2 }, 'ERR_RCLUSTER_OPTION', 'did you mean "maxOldSpaceMb"?'],
  [
    { exec, recycle: { request: 1 } },
    'ERR_RCLUSTER_OPTION',
    '"options.recycle.request": did you mean "requests"?',
  ],
  [{ exec, instances: 0 }, 'ERR_OUT_OF_RANGE', 'options.instances'],
  [{ exec, instances: 'many' }, 'ERR_INVALID_ARG_TYPE', 'options.instances'],
  [{ exec, restart: 'always' }, 'ERR_INVALID_ARG_VALUE', "'permanent', 'transient', 'temporary'"],
  [{ exec, stopTimeout: '5s' }, 'ERR_INVALID_ARG_TYPE', 'options.stopTimeout'],
  [{ exec, stopTimeout: -1 }, 'ERR_OUT_OF_RANGE', 'options.stopTimeout'],
  [{ exec, recycle: { rss: 'much' } }, 'ERR_INVALID_ARG_VALUE', "'512mb'"],
  [{ exec, backoff: { min: 100, max: 50 } }, 'ERR_OUT_OF_RANGE', 'options.backoff.max'],
  [{ exec, probe: {} }, 'ERR_INVALID_ARG_VALUE', 'either fn or http'],
  [{ exec, envFile: 'no/such.env' }, 'ENOENT', 'no/such.env'],
  [{ exec, cwd: '/no/such/directory' }, 'ENOENT', '/no/such/directory'],
  [{ exec, nice: 99 }, 'ERR_OUT_OF_RANGE', 'options.nice'],
])('%j', (options, code, text) => {
  let error;
  try {
    supervise(options);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code });
  expect(error.message).toContain(text);
  expect(error.message).not.toContain('\n');
});

test('options are checked without starting anything', () => {
  expect(library.checkOptions({ exec, recycle: { rss: '1.5gb' } })).toMatchObject({
    restart: 'permanent',
    recycle: { rss: 1.5 * 2 ** 30 },
    name: 'app',
  });
  expect(library.optionNames).toContain('hangTimeout');
});

test('what asks a supervisor is refused where there is none', async () => {
  expect(library.isSupervised).toBe(false);
  library.ready();
  await expect(library.store.get('key')).rejects.toMatchObject({ code: 'ERR_RCLUSTER_UNSUPERVISED' });
  await expect(library.lock('name')).rejects.toMatchObject({ code: 'ERR_RCLUSTER_UNSUPERVISED' });
});
