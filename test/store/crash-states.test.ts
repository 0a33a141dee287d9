import { describe, expect, test } from 'vitest';
import { BROKEN_PROTOCOLS } from '../support/crash/broken-protocols.ts';
import { type CrashReport, runCrashes } from '../support/crash/crash-run.ts';

describe('after a power cut at any operation, every acknowledged node is there, and the file verifies', () => {
  test.each(['v1', 'v2'] as const)('%s', { timeout: 120_000 }, async (pageFormat) => {
    const total: CrashReport = { states: 0, secondRuns: 0, failedSyncs: 0, failures: [] };
    const enough = (): boolean => total.states >= 1200 && total.secondRuns > 2 && total.failedSyncs > 0;
    for (let seed = 1; !enough() && seed <= 12; seed++) {
      const report = await runCrashes({ seed, pageFormat, actions: 6, goOnFromOneIn: 100 });
      total.states += report.states;
      total.secondRuns += report.secondRuns;
      total.failedSyncs += report.failedSyncs;
      expect(report.failures).toEqual([]);
    }
    // The scripts get to what they are there for.
    expect(enough()).toBe(true);
  });
});

describe('the harness fails where', () => {
  test.each(Object.entries(BROKEN_PROTOCOLS))('%s', { timeout: 120_000 }, async (_, broken) => {
    const failures: string[] = [];
    for (let seed = 1; seed <= 10 && failures.length === 0; seed++) {
      for (const pageFormat of ['v1', 'v2'] as const) {
        const options = { seed, pageFormat, actions: 12, goOnFromOneIn: 0, mostFailures: 1, ...broken };
        failures.push(...(await runCrashes(options)).failures);
      }
    }
    // Acknowledged nodes are lost, or a page is damaged; not some lesser finding.
    expect(failures.join('\n')).toMatch(/lost|not what was|PageStoreError|without commit records/);
  });
});
