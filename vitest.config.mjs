import { defineConfig } from 'vitest/config';

// Where it is set, every Node that a test starts reads these certificates first, which more than doubles its start.
delete process.env.NODE_EXTRA_CA_CERTS;

export default defineConfig({
  test: {
    include: ['__test__/**/*.test.mjs'],
    setupFiles: ['__test__/helpers/setup.mjs'],
    // Native addons want processes, not threads; and the tests start processes of their own.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    // Some tests hold times and shares against each other, and CI's machine is not always its own. What passes only
    // on a second try is listed as flaky in the report.
    retry: process.env.CI ? 2 : 0,
    restoreMocks: true,
  },
});
