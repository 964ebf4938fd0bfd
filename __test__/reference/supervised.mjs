// supervised_example.cjs under a supervisor of this process.

import { fileURLToPath } from 'node:url';

import { start } from '../helpers/supervisor.mjs';

/** Waits until all workers are ready; `printed()` is what they have printed. @param {Parameters<typeof start>[0]} [options] */
export async function supervised(options) {
  const exec = fileURLToPath(new URL('supervised_example.cjs', import.meta.url));
  const all = await start({ exec, instances: 1, ...options });
  let text = '';
  all.sup.on('worker:stdio', (worker, { stdout, stderr }) => {
    stdout.on('data', (data) => (text += data));
    stderr.resume();
  });
  await all.sup.started;
  return { ...all, printed: () => text };
}
