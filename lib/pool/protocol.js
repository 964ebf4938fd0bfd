'use strict';
// @ts-check

// The numbers that the two sides of a pool, and the engine between them, agree on.

/** How a payload is encoded: the low bits of a kind. JSON, PORT and BYTES have the same numbers in src/pool/task.rs. */
const ENCODING = 0xf;
const EMPTY = 0;
const JSON_TEXT = 1;
const TEXT = 2;
const CLONE = 3;
const PORT = 4;
const COLUMNS = 5;
/** A big buffer, copied from one side's memory right into the other's; the type of the value goes along. */
const BYTES = 6;
const TYPE_SHIFT = 9;
const TYPE = 0xf;

/** A task that its thread must run alone, because ending it ends the thread. */
const EXCLUSIVE = 16;
/** A result that was thrown. */
const THROWN = 32;
/** A task whose message is in the port already. */
const SENT = 64;

/** A task whose message is a copy, so that it may be sent before it is sure who runs it. */
const REPEATABLE = 256;

/** A result that cannot be cloned: the error that says so, as JSON. */
const UNCLONEABLE = 128;

/** News of a thread, in place of a completion; LEFT has the same number in src/pool/task.rs. */
const LEFT = -1;
const READY = -2;
const WANT = -3;
const WORN = -4;
const PREFETCH = -5;
const WANT_BYTES = -6;

/** A thread's table: numbers of a slot, slots, states. As in src/pool/table.rs. */
const STRIDE = 4;
const SLOTS = 64;
const TAKEN = 1;
const CLAIMED = 2;

module.exports = {
  ENCODING,
  EMPTY,
  JSON_TEXT,
  TEXT,
  CLONE,
  PORT,
  COLUMNS,
  BYTES,
  TYPE_SHIFT,
  TYPE,
  EXCLUSIVE,
  THROWN,
  SENT,
  REPEATABLE,
  UNCLONEABLE,
  LEFT,
  READY,
  WANT,
  WORN,
  PREFETCH,
  WANT_BYTES,
  STRIDE,
  SLOTS,
  TAKEN,
  CLAIMED,
};
