// rcluster's modules, as `require` gives them.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** `rcluster/child_process`. */
export const childProcess = require('../../lib/child_process/index.js');
