import { alternate } from './lib/pair.mjs';
import { fixturePair, ipcLimits } from './lib/fixture.mjs';

export const question = 'how fast do messages go between a parent and its fork?';

const small = /** @type {const} */ ({
  'round trip p50': { unit: 'us', better: 'lower' },
  'round trips': { unit: 'per s', better: 'higher' },
  'one way': { unit: 'messages per s', better: 'higher' },
  'JS thread per message': { unit: 'us', better: 'lower' },
});
const large = /** @type {const} */ ({ echo: { unit: 'MB per s, both ways', better: 'higher' } });

export async function* cases({ smoke }) {
  const seconds = smoke ? 0.3 : 1.5;
  const rounds = smoke ? 1 : 5;
  for (const { title, metrics, hasLimits, ...options } of [
    { title: 'json, small', serialization: 'json', what: 'small', metrics: small, hasLimits: true },
    { title: 'advanced, small', serialization: 'advanced', what: 'small', metrics: small },
    {
      title: 'json, small, stock Node child',
      serialization: 'json',
      what: 'small',
      stock: true,
      metrics: small,
    },
    { title: 'json, 1 MB string', serialization: 'json', what: 'large', metrics: large },
    { title: 'advanced, 1 MB Buffer', serialization: 'advanced', what: 'large', metrics: large },
    {
      title: 'advanced, 1 MB Buffer, stock Node child',
      serialization: 'advanced',
      what: 'large',
      stock: true,
      metrics: large,
    },
  ]) {
    const limits = hasLimits && !smoke ? ipcLimits(seconds) : {};
    const sides = { ...fixturePair('ipc_parent.cjs', { ...options, seconds }), ...limits };
    yield { title, rows: await alternate({ rounds, sides, metrics }) };
  }
}
