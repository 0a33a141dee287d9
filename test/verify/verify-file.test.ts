import { expect, test } from 'vitest';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { verifyFile } from '../../src/verify/verify-file.ts';
import { fileWithFreeList } from '../support/damage.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { verifyAll } from '../support/verify.ts';

test('each block is read once, in order', async () => {
  const file = new RecordingBlockFile(await fileWithFreeList());
  await verifyFile(file, () => undefined);
  const reads = file.operations.filter((step) => step.kind === 'read');
  const whole = reads.filter(({ length }) => length === BLOCK_BYTES).map(({ position }) => position);
  expect(whole).toEqual([0, 1, 2, 3, 4, 5, 6].map((block) => fileOffset(block)));
  // What is left is looking for commits that are not home yet.
  const bytes = reads.reduce((sum, { length }) => sum + length, 0);
  expect(bytes - 7 * BLOCK_BYTES).toBeLessThan(BLOCK_BYTES / 2);
  expect(file.count('write')).toBe(0);
});

test('a file that is no page file is told apart from a damaged one', async () => {
  const text = new TextEncoder().encode('just some words, again and again\n'.repeat(20_000));
  for (const bytes of [new Uint8Array(0), new Uint8Array(100).fill(9), text]) {
    await expect(verifyAll(bytes)).rejects.toMatchObject({ code: 'NOT_A_PAGE_FILE' });
  }
});
