import { beforeAll, describe, expect, it } from 'vitest';
import { FAULT_KINDS, type FaultKind, WHOLE_PAGE_KINDS } from '../support/faults/faults.ts';
import { type FaultReport, runFaults } from '../support/faults/run.ts';

/** In as many files, half of them V1 and half V2. */
const FILES = 10;

/** Faults of things of which the file has another copy. */
const HARMLESS: readonly FaultKind[] = ['header copy older', 'commit record older', 'commit record zeroed'];

describe('faults of all kinds', () => {
  const each = 20;
  let report: FaultReport;

  beforeAll(async () => {
    const count = each * FAULT_KINDS.length;
    report = await runFaults({ seed: 2, from: 0, count, perFile: count / FILES });
  });

  it.each(FAULT_KINDS)('%s: if a node is lost, or a freed one is back, verify reports an error', (kind) => {
    const { faults, harmful, error, warning, unnoticed } = report.withDigest[kind]!;
    expect(faults).toBeGreaterThan(each / 4);
    expect(harmful > 0).toBe(!HARMLESS.includes(kind));
    expect({ error, warning, unnoticed }).toEqual({ error: harmful, warning: 0, unnoticed: 0 });
  });

  it('a walk over all nodes ends with an error if nodes are missing', () => {
    expect(report.failures.filter(({ rule }) => rule.includes('walk'))).toEqual([]);
  });
});

describe('the judge of these faults', () => {
  it('sees that verify misses pages in files without a digest', async () => {
    const options = { kinds: WHOLE_PAGE_KINDS, without: true };
    const { without } = await runFaults({ seed: 3, from: 0, count: 100, perFile: 10, ...options });
    const missed = (kind: FaultKind): number => without[kind]!.unnoticed + without[kind]!.warning;
    expect(missed('page older')).toBeGreaterThan(0);
    expect(missed('page of another file')).toBeGreaterThan(0);
    expect(without['page older']!.shortScans).toBeGreaterThan(0);
    expect(without['page older']!.wrongReads).toBeGreaterThan(0);
  });
});
