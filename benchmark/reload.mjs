import { alternate } from './lib/pair.mjs';
import { reloadSides } from './lib/reload_sides.mjs';

export const question = 'how many requests fail while a server under load is reloaded?';

const metrics = /** @type {const} */ ({
  failed: { unit: 'count', better: 'lower' },
  answered: { unit: 'count', better: 'higher' },
  requests: { unit: 'per s', better: 'higher' },
  reload: { unit: 'ms', better: 'lower' },
  reloads: { unit: 'count', better: 'higher' },
});

export async function* cases({ smoke }) {
  // Ten, as long as one takes no longer than it may.
  const [every, duration] = smoke ? [500, 1000] : [3000, 30_000];
  for (const [title, keepAlive] of /** @type {const} */ ([
    ['kept connections', true],
    ['one for each request', false],
  ])) {
    const sides = reloadSides({ workers: 2, every, duration, connections: 16, keepAlive, withPm2: !smoke });
    yield {
      title: `${duration / 1000} s, 2 workers reloaded every ${every / 1000} s, 16 connections, ${title}`,
      rows: await alternate({ rounds: 1, sides, metrics }),
    };
  }
}
