import { describe, expect, test } from 'vitest';
import { BROKEN_PROTOCOLS } from '../support/crash/broken-protocols.ts';
import { runCrashes } from '../support/crash/crash-run.ts';

describe('after a power cut at any operation, every acknowledged node is there, and the file verifies', () => {
  test.each(['v1', 'v2'] as const)('%s', { timeout: 120_000 }, async (pageFormat) => {
    // A state takes some ms, and most scripts have several times as many: those are for the campaign.
    const report = await runCrashes({ seed: pageFormat === 'v1' ? 9 : 5, pageFormat, actions: 6, goOnFromOneIn: 100 });
    expect(report.failures).toEqual([]);
    // The script gets to what it is there for.
    expect(report.states).toBeGreaterThan(1200);
    expect(report.secondRuns).toBeGreaterThan(2);
    expect(report.failedSyncs).toBeGreaterThan(0);
  });
});

describe('after a power cut while a page is added, in a new block or a free one, it is there as a whole or not at all', () => {
  test.each(['v1', 'v2'] as const)('%s', { timeout: 120_000 }, async (pageFormat) => {
    const script = ['append', 'addPage', 'free', 'addPage'] as const;
    const run = { seed: 3, pageFormat, actions: script.length, script, goOnFromOneIn: 200 };
    const report = await runCrashes(run);
    expect(report.failures).toEqual([]);
    expect(report.states).toBeGreaterThan(500);
    expect(report.secondRuns).toBeGreaterThan(1);
  });
});

describe('after a power cut in a file whose header no append changes, its digest fits', () => {
  test.each(['v1', 'v2'] as const)('%s', { timeout: 120_000 }, async (pageFormat) => {
    const script = ['append'] as const;
    const run = { seed: 1, pageFormat, actions: script.length, script, isUncounted: true, goOnFromOneIn: 0 };
    const report = await runCrashes(run);
    expect(report.failures).toEqual([]);
    expect(report.states).toBeGreaterThan(15);
  });
});

describe('the harness fails where', () => {
  test.each(Object.entries(BROKEN_PROTOCOLS))('%s', { timeout: 120_000 }, async (_, broken) => {
    const failures: string[] = [];
    for (let seed = 1; seed <= 10 && failures.length === 0; seed++) {
      for (const pageFormat of ['v2', 'v1'] as const) {
        if (failures.length > 0) break;
        const options = { seed, pageFormat, actions: 12, goOnFromOneIn: 0, mostFailures: 1, ...broken };
        failures.push(...(await runCrashes(options)).failures);
      }
    }
    // Acknowledged nodes are lost, or a page is damaged; not some lesser finding.
    expect(failures.join('\n')).toMatch(/lost|not what was|PageStoreError|without commit records/);
  });
});
