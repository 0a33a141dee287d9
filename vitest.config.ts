import { defineConfig } from 'vitest/config';

const MOCKED = 'test/**/*.mocked.test.ts';

/** The package's own name: tests of the public API import it as its users do. */
const ENTRIES = ['arena', 'format', 'testing'].map((name) => ({
  find: `artrie-pages/${name}`,
  replacement: `${import.meta.dirname}/src/${name}.ts`,
}));

export default defineConfig({
  resolve: { alias: [...ENTRIES, { find: /^artrie-pages$/, replacement: `${import.meta.dirname}/src/index.ts` }] },
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
