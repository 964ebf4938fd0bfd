'use strict';
// @ts-check

// In a worker: messages to and from other workers. Two that talk have a channel of their own, over a socket that the
// primary's accept thread gives to both; what they say goes by nobody else.

const { EventEmitter } = require('node:events');

const { joinChannel } = require('../child_process/channel');
const { codedError, validateInteger } = require('../errors');
const { engine } = require('../native');
const { answerWorker } = require('./requests');

/** @type {any} */
const cluster = require('node:cluster');

/** @typedef {{ timeout?: number, signal?: AbortSignal }} RequestOptions */
/** @typedef {{ resolve: (value: any) => void, reject: (error: Error) => void }} Waiting */

/** By number of the other worker. @type {Map<number, Promise<any>>} */
const channels = new Map();
/** Who waits for a socket to which worker. @type {Map<number, Waiting>} */
const asked = new Map();
/** Who waits for which list. @type {Map<number, { numbers: number[], resolve: (numbers: number[]) => void }>} */
const lists = new Map();
let lastList = 0;
/** Messages that came before anybody listened. @type {Array<[any, number]>} */
const early = [];

/** The channel to another worker. @param {number} id @returns {Promise<any>} */
function channelTo(id) {
  const known = channels.get(id);
  if (known !== undefined) return known;
  const channel = new Promise((resolve, reject) => {
    if (engine.handoffMeet(id)) asked.set(id, { resolve, reject });
    else reject(codedError('ERR_RCLUSTER_PEER'));
  });
  channels.set(id, channel);
  channel.catch(() => channels.delete(id));
  return channel;
}

/** A socket to another worker has come, or there is no such worker. @param {number} id @param {number} fd @param {number} isAsker */
function onPeer(id, fd, isAsker) {
  const waiting = fd < 0 || isAsker ? asked.get(id) : undefined;
  if (waiting !== undefined) asked.delete(id);
  if (fd < 0) {
    waiting?.reject(codedError('ERR_RCLUSTER_NO_WORKER', id));
    return;
  }
  const channel = /** @type {any} */ (new EventEmitter());
  joinChannel(channel, fd, isAsker === 1, (message) => received(id, message));
  const promise = Promise.resolve(channel);
  if (waiting !== undefined) waiting.resolve(channel);
  // Either end may have asked at the same time: what this one sends then goes over the channel it has asked for.
  else if (!channels.has(id)) channels.set(id, promise);
  const ours = channels.get(id);
  channel.once('disconnect', () => channels.get(id) === ours && channels.delete(id));
}

/** @param {number} question @param {number} id */
function onListed(question, id) {
  const list = lists.get(question);
  if (id !== 0) {
    list?.numbers.push(id);
  } else {
    lists.delete(question);
    list?.resolve(list.numbers);
  }
}

/** @param {number} from @param {{ act: 'message' | 'request', message: any }} received */
function received(from, { act, message }) {
  if (act === 'request') return answerWorker(message, from);
  // Who has sent it is not to get what a listener throws.
  process.nextTick(dispatch, message, from);
}

/** @param {any} message @param {number} from */
function dispatch(message, from) {
  if (early.length > 0 || !cluster.emit('workerMessage', message, from)) early.push([message, from]);
}

function dispatchEarly() {
  if (cluster.listenerCount('workerMessage') === 0) return;
  for (const [message, from] of early.splice(0)) cluster.emit('workerMessage', message, from);
}

/**
 * @param {number} id
 * @param {'message' | 'request'} act
 * @param {any} message
 * @param {RequestOptions} [options]
 */
async function ask(id, act, message, options) {
  validateInteger(id, 'workerId', 1, 2 ** 32 - 1);
  if (message === undefined) throw codedError('ERR_MISSING_ARGS', 'message');
  if (id === cluster.worker.id) {
    throw codedError('ERR_INVALID_ARG_VALUE', 'workerId', id, 'is the worker itself');
  }
  const channel = await channelTo(id);
  try {
    return await channel.request({ act, message }, options);
  } catch (error) {
    // It has gone, or it had when this was asked.
    if (isOver(error) && !channel.connected) throw codedError('ERR_RCLUSTER_NO_WORKER', id);
    throw error;
  }
}

/** @param {any} error */
function isOver({ code }) {
  return code === 'ERR_IPC_CHANNEL_CLOSED' || code === 'ERR_RCLUSTER_PEER';
}

/** @param {number} id @param {any} message @param {RequestOptions} [options] */
async function sendTo(id, message, options) {
  await ask(id, 'message', message, options);
}

/** @param {number} id @param {any} message @param {RequestOptions} [options] */
function requestTo(id, message, options) {
  return ask(id, 'request', message, options);
}

/** The numbers of the other workers that have loaded rcluster. @returns {Promise<number[]>} */
function list() {
  return new Promise((resolve, reject) => {
    const question = ++lastList;
    if (engine.handoffList(question)) lists.set(question, { numbers: [], resolve });
    else reject(codedError('ERR_RCLUSTER_PEER'));
  });
}

/**
 * Sends to all other workers; how many have got it.
 * @param {any} message
 * @param {RequestOptions} [options]
 */
async function broadcast(message, options) {
  if (message === undefined) throw codedError('ERR_MISSING_ARGS', 'message');
  const ids = await list();
  const sent = await Promise.allSettled(ids.map((id) => sendTo(id, message, options)));
  let count = 0;
  for (const outcome of sent) {
    if (outcome.status === 'fulfilled') count++;
    else if (outcome.reason.code !== 'ERR_RCLUSTER_NO_WORKER') throw outcome.reason;
  }
  return count;
}

// What came first has loaded this.
cluster.on('newListener', (/** @type {string} */ name) => {
  if (name === 'workerMessage' && early.length > 0) process.nextTick(dispatchEarly);
});

module.exports = { broadcast, onListed, onPeer, requestTo, sendTo };
