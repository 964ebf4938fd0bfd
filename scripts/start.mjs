// `npm start`: prepares the checkout, then shows the example app on Node's cluster and on rcluster, side by side.

import { prepare } from './lib/prepare.mjs';

await prepare();
const { report } = await import('../examples/http/report.mjs');
await report();
