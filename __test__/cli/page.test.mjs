// The status page, in a real browser. Debian: apt-get install chromium.

import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, expect, test } from 'vitest';

import { endCommands, startApp } from '../helpers/command.mjs';

afterEach(endCommands);

const names = [process.env.RCLUSTER_TEST_BROWSER, 'chromium', 'chromium-browser', 'google-chrome'].filter(
  Boolean,
);
const browser = names.find((name) => spawnSync(name, ['--version']).status === 0);

test.skipIf(!browser)(
  `the page shows live charts (${browser ?? 'no chromium here'})`,
  { timeout: 60_000 },
  async () => {
    const app = await startApp(['-w', '2', '--name', '<b>shop</b>', '--http', '0']);
    const { http } = await app.status();
    const load = setInterval(() => app.get().catch(() => {}), 20);
    const profile = mkdtempSync(join(tmpdir(), 'rcluster-browser-'));
    try {
      const args = [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--enable-logging=stderr',
      ];
      const screenshot = process.env.RCLUSTER_TEST_SCREENSHOT;
      const wanted = screenshot ? [`--screenshot=${screenshot}`, '--window-size=1240,620'] : ['--dump-dom'];
      // Time in the page is virtual: some refreshes, as fast as the server answers.
      const all = [...args, `--user-data-dir=${profile}`, '--virtual-time-budget=8000', ...wanted, http];
      const { stdout, stderr } = await promisify(execFile)(browser, all, {
        timeout: 50_000,
        maxBuffer: 1 << 26,
      });
      // Nothing was refused by the page's policy, and nothing was thrown.
      expect(stderr).not.toMatch(/CONSOLE/);
      if (screenshot) return;
      expect(stdout).toContain('&lt;b&gt;shop&lt;/b&gt;</h1>');
      expect(stdout).toContain('2 of 2 workers ready');
      expect(stdout).toMatch(/id="lost"[^>]*hidden/);
      expect(stdout.match(/<div class="tile">/g)).toHaveLength(6);
      expect(stdout.match(/<polyline points="[\d.]+,[\d.]+ [\d.]+,[\d.]+/g).length).toBeGreaterThanOrEqual(8);
      const { workers } = await app.status();
      for (const { pid } of workers) expect(stdout).toContain(`<td>${pid}</td>`);
    } finally {
      clearInterval(load);
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    }
  },
);
