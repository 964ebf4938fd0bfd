// Load while workers are killed, stopped, told to disconnect and forked at random: nothing is lost but what a killed
// worker had adopted, and the counts say so exactly.

import { afterEach, expect, test } from 'vitest';

import { cluster, endAll, greeted, listenAll, startWorker } from '../helpers/cluster.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

const SECONDS = Number(process.env.RCLUSTER_CHAOS_SECONDS ?? 3);
const CLIENTS = 24;
const LEAST_WORKERS = 3;

afterEach(endAll);

/** The same in every run of a seed. */
function randomFrom(seed) {
  return (below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
}

test(
  'no connection is lost but those that killed workers had adopted',
  async () => {
    const random = randomFrom(Number(process.env.RCLUSTER_CHAOS_SEED ?? 1));
    const all = new Set();
    const killed = new Set();
    const join = async () => {
      const worker = await startWorker();
      all.add(worker);
      return listenAll([worker], 'listenLate');
    };
    const live = () =>
      Object.values(cluster.workers).filter((worker) => all.has(worker) && !killed.has(worker));

    const port = await join();
    await join();
    await join();

    const served = new Map();
    let lost = 0;
    const load = new AbortController();
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (!load.signal.aborted) {
        try {
          const { id, socket } = await greeted(port);
          socket.destroy();
          served.set(id, (served.get(id) ?? 0) + 1);
        } catch {
          lost++;
        }
      }
    });

    const acts = {
      kill(worker) {
        killed.add(worker);
        worker.process.kill('SIGKILL');
      },
      disconnect: (worker) => worker.disconnect(),
      async stop(worker) {
        worker.process.kill('SIGSTOP');
        await sleep(random(1500));
        worker.process.kill('SIGCONT');
      },
    };
    const stops = [];
    for (const end = performance.now() + SECONDS * 1000; performance.now() < end;) {
      await sleep(50 + random(100));
      while (live().length < LEAST_WORKERS) await join();
      const workers = live();
      const act = Object.keys(acts)[random(3)];
      stops.push(acts[act](workers[1 + random(workers.length - 1)]));
    }
    await Promise.all(stops);
    load.abort();
    await Promise.all(clients);
    await waitFor(() => [...all].every((worker) => worker.isDead() || cluster.workers[worker.id]));

    const adopted = (workers) => workers.reduce((sum, { load }) => sum + (load?.adopted ?? 0), 0);
    const servedBy = (workers) => workers.reduce((sum, { id }) => sum + (served.get(id) ?? 0), 0);
    const spared = [...all].filter((worker) => !killed.has(worker));
    expect(killed.size).toBeGreaterThan(0);
    expect(servedBy([...all])).toBeGreaterThan(100);
    expect(adopted(spared)).toBe(servedBy(spared));
    expect(adopted([...killed])).toBe(servedBy([...killed]) + lost);
  },
  SECONDS * 1000 + 30_000,
);
