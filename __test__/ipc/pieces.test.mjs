// Towards a socket large views are sent from where they are, around what V8 has written of the rest.

import { expect, test } from 'vitest';

import { MODULES, fixture, runScript } from '../helpers/run_script.mjs';

test.each(Object.keys(MODULES))('large views go to a plain child and back (%s)', async (module) => {
  const result = await runScript(fixture('ipc_pieces.cjs'), { module, timeout: 30_000 });
  expect(result).toMatchObject({ code: 0, stderr: '', stdout: '5\n' });
});
