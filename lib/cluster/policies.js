'use strict';
// @ts-check

/** The policies that Node has not; the same numbers as in src/binding/cluster/primary.rs. */
const policies = { SCHED_LEAST_CONN: 3, SCHED_LEAST_LOAD: 4, SCHED_STICKY: 5, SCHED_REUSEPORT: 6 };

module.exports = { policies };
