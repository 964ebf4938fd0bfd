'use strict';
// @ts-check

// Which file the binding is. Finding out takes the generated loader two milliseconds; a thread that is told by the
// one that starts it need not.

module.exports = { path: /** @type {string | undefined} */ (undefined) };
