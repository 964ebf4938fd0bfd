// Nothing may be left: no descriptor, no thread, no zombie, no child.

import { childrenOf, openFds, countThreads } from './process_state.mjs';
import { waitFor } from './wait.mjs';

/**
 * Runs `body` and fails if it leaves more descriptors, threads or children than there were. Ends are seen
 * asynchronously, so there is a moment for things to settle. Do once what opens things for good (the first spawn,
 * the first DNS look-up) before.
 * @param {() => unknown} body
 * @param {{ timeout?: number }} [options]
 */
export async function expectNoLeaks(body, { timeout } = {}) {
  const fds = openFds();
  const threads = countThreads();
  const children = new Set(childrenOf().map(({ pid }) => pid));
  await body();
  const left = () => ({
    fds: describeNewFds(fds),
    threads: Math.max(0, countThreads() - threads),
    children: childrenOf().filter(({ pid }) => !children.has(pid)),
  });
  await waitFor(
    () => {
      const now = left();
      return openFds().size <= fds.size && now.threads === 0 && now.children.length === 0;
    },
    { timeout, what: () => `left behind: ${JSON.stringify(left())}` },
  );
}

/** New descriptors, by what they are; a number that was re-used for something else counts as new. */
function describeNewFds(before) {
  return [...openFds()]
    .filter(([fd, target]) => before.get(fd) !== target)
    .map(([fd, target]) => `${fd}: ${target}`);
}
