'use strict';
// @ts-check

// The application's own metrics: what prom-client counts in each worker, in sum.

const QUESTION = 'rcluster:metrics';
/** How long a worker may take to answer, in milliseconds; then its latest answer stands. */
const TIMEOUT = 1000;

/**
 * What is asked of a supervisor here.
 * @typedef {object} Asked
 * @property {Array<{ id: number, pid?: number, state: string }>} workers
 * @property {(id: number, question: string, payload: undefined, options: { timeout: number }) => Promise<any>} ask
 */

/** @typedef {{ name: string, help: string, type: string, aggregator?: string, values: any[] }} PromMetric as prom-client gives it */

/** How the values of several workers become one. @type {Record<string, (values: number[]) => number>} */
const aggregators = {
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  first: ([first]) => first,
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
  average: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,
};

/** Collects from all workers, those that hang and those that have ended included. */
class AppMetrics {
  /** The latest answer of each process. @type {Map<number, PromMetric[]>} */
  #latest = new Map();
  /** What processes that have ended had counted: a counter does not go down because a worker was replaced. @type {PromMetric[]} */
  #ended = [];
  /** @type {Promise<import('./open_metrics').Family[]> | undefined} */
  #collecting;

  /**
   * @param {Asked} supervisor
   * @returns {Promise<import('./open_metrics').Family[]>} nothing where no worker has prom-client
   */
  collect(supervisor) {
    // Two that ask at once get one answer.
    this.#collecting ??= this.#collect(supervisor).finally(() => (this.#collecting = undefined));
    return this.#collecting;
  }

  /** @param {Asked} supervisor */
  async #collect(supervisor) {
    const places = new Set(supervisor.workers.filter(({ state }) => state === 'ready').map(({ id }) => id));
    await Promise.all(
      [...places].map(async (id) => {
        try {
          // Of the process that has the place now, which during a reload is not the one that was listed.
          const answer = await supervisor.ask(id, QUESTION, undefined, { timeout: TIMEOUT });
          if (Array.isArray(answer?.metrics)) this.#latest.set(answer.pid, answer.metrics);
        } catch {
          // It hangs, or has ended meanwhile.
        }
      }),
    );
    const left = new Set(supervisor.workers.map(({ pid }) => pid));
    for (const [pid, metrics] of this.#latest) {
      if (left.has(pid)) continue;
      this.#latest.delete(pid);
      this.#ended = merge([this.#ended, metrics.filter(isCounted)]);
    }
    return merge([this.#ended, ...this.#latest.values()]).map(toFamily);
  }
}

/** Whether a metric only grows. @param {PromMetric} metric */
function isCounted({ type, aggregator = 'sum' }) {
  return aggregator === 'sum' && (type === 'counter' || type === 'histogram');
}

/**
 * Makes one list of several processes' lists.
 * @param {PromMetric[][]} lists
 * @returns {PromMetric[]}
 */
function merge(lists) {
  /** @type {Map<string, PromMetric & { samples: Map<string, { sample: any, values: number[] }> }>} */
  const merged = new Map();
  for (const metric of lists.flat()) {
    const { name, help, type, aggregator = 'sum' } = metric;
    if (aggregator === 'omit') continue;
    const known = merged.get(name) ?? { name, help, type, aggregator, values: [], samples: new Map() };
    merged.set(name, known);
    for (const sample of metric.values) {
      const labels = Object.entries(sample.labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
      const key = `${sample.metricName ?? name} ${JSON.stringify(labels)}`;
      const same = known.samples.get(key);
      if (same === undefined) known.samples.set(key, { sample, values: [sample.value] });
      else same.values.push(sample.value);
    }
  }
  return [...merged.values()].map(({ samples, ...metric }) => {
    const aggregate = aggregators[metric.aggregator ?? 'sum'] ?? aggregators.sum;
    const values = [...samples.values()].map(({ sample, values }) => ({
      ...sample,
      value: aggregate(values),
    }));
    return { ...metric, values };
  });
}

/** @param {PromMetric} metric @returns {import('./open_metrics').Family} */
function toFamily({ name, help, type, values }) {
  const isCounter = type === 'counter';
  const samples = values
    // What is not a number has become null on its way here.
    .filter(({ value }) => typeof value === 'number')
    .map(({ labels, value, metricName = name }) => ({
      suffix: metricName.slice(name.length),
      labels,
      value,
    }));
  const plainName = isCounter ? name : undefined;
  return {
    name: isCounter ? name.replace(/_total$/, '') : name,
    plainName,
    help,
    type: /** @type {any} */ (type),
    samples,
  };
}

module.exports = { AppMetrics };
