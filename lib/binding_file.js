'use strict';
// @ts-check

// Which file the binary was loaded from. A thread that is told by the one that starts it need not look for it.

module.exports = { path: /** @type {string | undefined} */ (undefined) };
