import { expect, test } from 'vitest';
import { MAX_JOURNAL_PATCH_BYTES, type Patch, patchBytes } from '../../src/format/journal.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { patchesOf, PlanOutput } from '../../src/repair/repairs.ts';

test('changes that the digest follows are kept until those of block 0, as many as fit in their journal', async () => {
  const patches: Patch[] = [];
  const output = new PlanOutput(
    async (patch) => void patches.push(patch),
    async () => undefined,
  );
  let kept = 0;
  const linkOf = (block: number): Patch[] =>
    patchesOf('free-list', block * BLOCK_BYTES, new Uint8Array(8), new Uint8Array(8).fill(1));
  while (output.keep(linkOf(kept + 1))) kept++;
  expect(output.keep(linkOf(kept + 1))).toBe(false);
  expect(patches).toEqual([]);
  await output.change('entry-count', 40, new Uint8Array(8), new Uint8Array(8).fill(1));
  await output.changeLater();
  expect(patches.map(({ position }) => position / BLOCK_BYTES >= 1)).toEqual([
    false,
    ...Array.from({ length: kept }, () => true),
  ]);
  expect(output.changes).toBe(kept + 1);
  const bytes = patches.slice(1).reduce((sum, patch) => sum + patchBytes(patch), 0);
  // The rest is for block 0: header, digest, copy and two records, and two page headers.
  expect(MAX_JOURNAL_PATCH_BYTES - bytes).toBeGreaterThan(2 * (128 + 128 + 2 * 192 + 2 * 64) + 40 * 12);
  expect(MAX_JOURNAL_PATCH_BYTES - bytes).toBeLessThan(8192);
});
