// `npm run bench [-- NAME...] [--smoke] [--json FILE]`: prepares the checkout, then runs the benchmarks.

import { prepare } from './lib/prepare.mjs';

await prepare();
const { main } = await import('../benchmark/main.mjs');
await main(process.argv.slice(2));
