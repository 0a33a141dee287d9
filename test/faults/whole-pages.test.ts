import { beforeAll, describe, expect, it } from 'vitest';
import { WHOLE_PAGE_KINDS } from '../support/faults/faults.ts';
import { type FaultReport, runFaults } from '../support/faults/run.ts';

/** In as many files, half of them V1 and half V2. */
const FILES = 10;

describe('whole pages that are lost, older, swapped, copied, or of another file', () => {
  const each = 300;
  let report: FaultReport;

  beforeAll(async () => {
    const count = each * WHOLE_PAGE_KINDS.length;
    const options = { kinds: WHOLE_PAGE_KINDS, reads: false };
    report = await runFaults({ seed: 1, from: 0, count, perFile: count / FILES, ...options });
  });

  it.each(WHOLE_PAGE_KINDS)('%s: verify reports each as an error', (kind) => {
    const { faults, found, powerCut } = report.withDigest[kind]!;
    expect(faults).toBeGreaterThan(each * 0.9);
    // Of those, the commit records have everything.
    expect(powerCut).toBeLessThan(faults / 20);
    expect(found).toBe(faults - powerCut);
  });
});
