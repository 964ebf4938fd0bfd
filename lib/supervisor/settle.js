'use strict';
// @ts-check

/** Waits for all, and throws the first error that there was. @param {Promise<unknown>[]} promises */
async function settleAll(promises) {
  const results = await Promise.allSettled(promises);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

module.exports = { settleAll };
