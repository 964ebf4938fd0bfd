// Runs around every test file: no file may leave children behind, dead or alive.

import { afterAll, afterEach } from 'vitest';

import { childrenOf } from './process_state.mjs';
import { endScripts } from './run_script.mjs';
import { waitFor } from './wait.mjs';

const before = new Set(process.platform === 'linux' ? childrenOf().map(({ pid }) => pid) : []);

afterEach(endScripts);

afterAll(async () => {
  if (process.platform !== 'linux') return;
  await waitFor(() => left().length === 0, { what: () => `children left behind: ${JSON.stringify(left())}` });
});

function left() {
  return childrenOf().filter(({ pid }) => !before.has(pid));
}
