import { describe, expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';
import { inheritsOwnEnvironment } from '../parity/both.mjs';

describe.each(['node', 'rcluster'])('%s', (module) => {
  test('children of a worker thread get the environment of the worker', async () => {
    const { stdout, stderr, code } = await runScript(fixture('worker_environment.cjs'), { module });
    expect(stderr).toBe('');
    expect(stdout.trim().split('\n')).toEqual([
      'main main yes', 'main main yes', 'main bare 0',
      'copy main yes', 'copy main yes', 'copy bare 0',
      'own worker', 'own worker', 'own bare 0',
      'shared main yes', 'shared main yes', 'shared bare 0',
    ]); // prettier-ignore
    expect(code).toBe(0);
  });

  test.each(['plain', 'frozen', 'proxy'])(
    'whether a %s object in place of process.env counts',
    async (kind) => {
      const { stdout, stderr } = await runScript(fixture('environment_put_in_place.cjs'), {
        module,
        args: [kind],
      });
      expect(stderr).toBe('');
      const first = inheritsOwnEnvironment ? '' : kind;
      expect(stdout.split('\n')).toEqual([first, 'genuine', '[]', '']);
    },
  );
});
