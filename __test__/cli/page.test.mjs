// The status page, in a real browser.

import { writeFileSync } from 'node:fs';

import { afterEach, expect, test } from 'vitest';

import { browser, openPage } from '../helpers/browser.mjs';
import { endCommands, startApp } from '../helpers/command.mjs';
import { waitFor } from '../helpers/wait.mjs';

afterEach(endCommands);

// None is packed for npm but for x64.
test.skipIf(!browser)('the page shows live charts', { timeout: 60_000 }, async () => {
  const app = await startApp(['-w', '2', '--name', '<b>shop</b>', '--http', '0']);
  const { http } = await app.status();
  const load = setInterval(() => app.get().catch(() => {}), 20);
  const page = await openPage(http);
  const count = (selector) => page.evaluate(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
  const text = (selector) =>
    page.evaluate(`document.querySelector(${JSON.stringify(selector)})?.textContent`);
  const html = () => page.evaluate('document.documentElement.outerHTML');
  // Lines of several points: it has been refreshed more than once.
  const lines = async () =>
    (await html())?.match(/<polyline points="[\d.]+,[\d.]+ [\d.]+,[\d.]+ [\d.]+,[\d.]+/g)?.length ?? 0;
  try {
    await waitFor(async () => (await lines()) >= 8, {
      timeout: 30_000,
      interval: 200,
      what: 'charts with lines',
    });
    if (process.env.RCLUSTER_TEST_SCREENSHOT)
      writeFileSync(process.env.RCLUSTER_TEST_SCREENSHOT, await page.screenshot());
    expect(await text('h1')).toBe('<b>shop</b>');
    expect(await html()).toContain('2 of 2 workers ready');
    expect(await count('.tile')).toBe(6);
    expect(await page.evaluate('document.getElementById("lost").hidden')).toBe(true);
    const { workers } = await app.status();
    for (const { pid } of workers) expect(await html()).toContain(`<td>${pid}</td>`);
    // Nothing was refused by the page's policy, and nothing was thrown.
    expect(page.messages).toEqual([]);

    // Once nobody answers any more it says so.
    await app.steer('stop');
    await waitFor(() => page.evaluate('!document.getElementById("lost").hidden'), { timeout: 15_000 });
  } finally {
    clearInterval(load);
    await page.close();
  }
});
