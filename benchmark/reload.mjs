import { alternate } from './lib/pair.mjs';
import { reloadSides } from './lib/reload_sides.mjs';

export const question = 'how many requests fail while a server under load is reloaded?';

const metrics = /** @type {const} */ ({
  failed: { unit: 'count', better: 'lower' },
  answered: { unit: 'count', better: 'higher' },
  requests: { unit: 'per s', better: 'higher' },
  reload: { unit: 'ms', better: 'lower' },
});

export async function* cases({ smoke }) {
  const reloads = smoke ? 2 : 10;
  for (const [title, keepAlive] of /** @type {const} */ ([
    ['kept connections', true],
    ['one for each request', false],
  ])) {
    const sides = reloadSides({ workers: 2, reloads, connections: 16, keepAlive, withPm2: !smoke });
    yield {
      title: `${reloads} reloads of 2 workers, 16 connections, ${title}`,
      rows: await alternate({ rounds: 1, sides, metrics }),
    };
  }
}
