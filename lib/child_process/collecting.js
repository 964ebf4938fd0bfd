'use strict';
// @ts-check

// Has V8 collect Buffers over memory of the engine's while they are young: it looks at how much memory hangs on these only
// where it allocates some itself. Else they would stay until it collects everything, which takes ten times as long, and
// for which their memory is a reason; and memory that was used so long ago is in no cache.

const v8 = require('node:v8');

const { nodeMajor } = require('../errors');

/** Of large messages that have arrived: for as many V8 collects what is young. Below what is kept, see recycled.rs. */
const COLLECTED_AT = 33 << 20;
let uncollected = 0;

/** From this line of Node on twice as many are needed, which is when V8 begins to collect everything. */
const NEEDS_FILLING = 24;

/** What there may be room for among what is young: where more of it lives, collecting takes longer, too. */
const MOST_FILLING = 8 << 20;

/** Bytes of an element, and elements of a filling, which is so small that pages are used to their ends. */
const ELEMENT = 8;
const FILLING = 2000;
/** Where each is put: what nobody can see V8 need not make. @type {{ filling: any }} */
const held = { filling: [] };

/** @param {number} bytes that have arrived */
function collect(bytes) {
  uncollected += bytes;
  if (uncollected < COLLECTED_AT) return;
  uncollected = 0;
  if (nodeMajor >= NEEDS_FILLING) fill();
  // V8 looks at what has been freed later, so that it would collect twice each time if it was asked for each message.
  else void new ArrayBuffer(1);
}

/** Leaves no room for anything young, so that V8 makes some. */
function fill() {
  const spaces = v8.getHeapSpaceStatistics();
  let room = 0;
  for (let index = 0; index < spaces.length; index++) {
    if (spaces[index].space_name === 'new_space') room = spaces[index].space_available_size;
  }
  if (room > MOST_FILLING) return;
  for (; room >= 0; room -= FILLING * ELEMENT) {
    // The one before would live on through the collection; of as much as does, V8 gathers that it needs more room.
    held.filling.length = 0;
    held.filling = new Array(FILLING);
  }
  held.filling.length = 0;
}

module.exports = { collect };
