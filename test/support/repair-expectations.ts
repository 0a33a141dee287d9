import { expect } from 'vitest';
import type { RepairOptions } from '../../src/repair/repair.ts';
import { briefChange, type Repaired, repaired, undone } from './repair.ts';
import { brief, verifyAll } from './verify.ts';

/**
 * Expects that a repair leaves nothing to find, that another run changes nothing, and that the undo file brings every
 * byte back.
 * @param changes - the changes, as {@link briefChange} writes them
 * @param severity - of the least that verify has to find before
 */
export async function repairsFully(
  bytes: Uint8Array,
  changes?: readonly string[],
  severity: 'error' | 'warning' | 'info' = 'error',
  options?: RepairOptions,
): Promise<Repaired> {
  const found = (await verifyAll(bytes)).findings.map((finding) => finding.severity);
  expect(found).toContain(severity);
  const result = await repaired(bytes, options);
  if (changes) expect(result.changes.map(briefChange)).toEqual(changes);
  expect(result.changes).not.toEqual([]);
  expect(result.left).toEqual([]);
  const { findings } = await verifyAll(result.bytes);
  expect(brief(findings.filter((finding) => finding.severity === 'error'))).toEqual([]);
  const again = await repaired(result.bytes, options);
  expect(again.changes.map(briefChange)).toEqual([]);
  expect(Buffer.compare(await undone(result), bytes)).toBe(0);
  return result;
}

/** Expects that a repair changes nothing, and says that these errors stay. */
export async function stays(bytes: Uint8Array, codes: readonly string[], options?: RepairOptions): Promise<void> {
  const { changes, left, bytes: after, undo } = await repaired(bytes, options);
  expect(changes.map(briefChange)).toEqual([]);
  expect(left.filter(({ severity }) => severity === 'error').map(({ code }) => code)).toEqual(codes);
  expect(Buffer.compare(after, bytes)).toBe(0);
  expect(undo).toBeUndefined();
}
