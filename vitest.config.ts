import { defineConfig } from 'vitest/config';

const MOCKED = 'test/**/*.mocked.test.ts';

export default defineConfig({
  test: {
    globalSetup: ['test/support/build-cli.ts'],
    pool: 'forks',
    // Left to itself it takes one core less than there are, which of two is half.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        // The same processes run all files: to start one for each takes as long as a third of the tests.
        test: {
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: [MOCKED, '**/node_modules/**'],
          isolate: false,
        },
      },
      // A module that is mocked must not have been loaded before.
      { extends: true, test: { name: 'mocked', include: [MOCKED] } },
    ],
  },
});
