'use strict';
// @ts-check

// What `rcluster/supervisor` exports: in the primary `supervise`, in its workers what they tell it and ask of it.

const { native, unsupported } = require('../platform');
const { validateFunction, validateString } = require('../errors');

// The worker's side is loaded when it is used first, which in a primary is never.
const runtime = () => require('./runtime').runtime();
const shared = () => require('./shared');

/**
 * Starts an application in workers, and looks after them.
 * @param {any} options
 */
function supervise(options) {
  if (!native) throw unsupported('supervise()');
  require('../cluster');
  const { Supervisor } = require('./supervisor');
  return new Supervisor(options);
}

/** The options with their defaults, checked as `supervise` does, without starting anything. @param {any} options */
function checkOptions(options) {
  return require('./options').checkOptions(options);
}

/** @type {typeof import('./shared').lock} */
function lock(name, options) {
  return shared().lock(name, options);
}

/** Tells the supervisor that this worker can work. */
function ready() {
  runtime().ready();
}

/** Has a function called as soon as this process begins to end. @param {(ending: any) => any} hook */
function onDrain(hook) {
  validateFunction(hook, 'hook');
  runtime().handleSignals();
  runtime().drainHooks.push(hook);
}

/** Has a function called before this process ends, once its connections have. @param {(ending: any) => any} hook */
function onShutdown(hook) {
  validateFunction(hook, 'hook');
  runtime().handleSignals();
  runtime().shutdownHooks.push(hook);
}

/** Ends this process as a supervisor would end it. @param {any} [how] */
function drain(how) {
  return runtime().drain(how);
}

/** Answers a question of the supervisor's. @param {string} question @param {(payload: any) => any} answer */
function answer(question, answer) {
  validateString(question, 'question');
  validateFunction(answer, 'answer');
  runtime().answers.set(question, answer);
}

/**
 * Has a registry of prom-client's served by the supervisor's /metrics. Its default registry is, without being named.
 * @param {any} registry
 */
function exposeMetrics(registry) {
  require('./worker_metrics').exposeMetrics(registry);
}

/** The config of the command `rcluster`, as it is: for its type. @template T @param {T} config @returns {T} */
function defineConfig(config) {
  return config;
}

module.exports = {
  supervise,
  checkOptions,
  ready,
  onDrain,
  onShutdown,
  drain,
  answer,
  exposeMetrics,
  defineConfig,
  lock,
  get store() {
    return shared().store;
  },
  get optionNames() {
    return require('./options').optionNames;
  },
  get leader() {
    return runtime().leader;
  },
  get place() {
    return runtime().place;
  },
  get isSupervised() {
    return runtime().isSupervised;
  },
  get isDraining() {
    return runtime().isDraining;
  },
};
