import { expect, test } from 'vitest';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { PageStore } from '../../src/store/page-store.ts';
import type { Finding } from '../../src/verify/verify.ts';
import { verify } from '../../src/verify/verify.ts';
import { fileWithFreeList } from '../support/damage.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { text } from '../support/nodes.ts';
import { brief, verifyAll } from '../support/verify.ts';

test('each block is read once, in order', async () => {
  const file = new RecordingBlockFile(await fileWithFreeList());
  await verify(file);
  const reads = file.operations.filter((step) => step.kind === 'read');
  const whole = reads.filter(({ length }) => length === BLOCK_BYTES).map(({ position }) => position);
  expect(whole).toEqual([0, 1, 2, 3, 4, 5, 6].map((block) => fileOffset(block)));
  // The other reads look for commits that are not checkpointed yet.
  const bytes = reads.reduce((sum, { length }) => sum + length, 0);
  expect(bytes - 7 * BLOCK_BYTES).toBeLessThan(BLOCK_BYTES / 2);
  expect(file.count('write')).toBe(0);
});

test('a commit during a check is noticed, even if damage has made verify read the header again since', async () => {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  await store.append(text('node'));
  await store.allocate(2);
  file.bytes[fileOffset(2, 8)]! ^= 1;
  const findings: Finding[] = [];
  const summary = await verify(file, {
    onFinding: (finding) => void findings.push(finding),
    onProgress: async (blocksDone) => {
      if (blocksDone === 2) await store.append(text('meanwhile'));
    },
  });
  expect(brief(findings)).toEqual(['error PAGE_VERSION 2', 'error PAGE_CHECKSUM 2']);
  expect(summary).toMatchObject({ changed: true, nodes: 2 });
  const after = await verifyAll(file);
  expect(after.summary).toMatchObject({ changed: false, nodes: 2 });
});

test('a file that is not a page file is distinguished from a damaged one', async () => {
  const words = text('just some words, again and again\n'.repeat(20_000));
  for (const bytes of [new Uint8Array(0), new Uint8Array(100).fill(9), words]) {
    await expect(verifyAll(bytes)).rejects.toMatchObject({ code: 'NOT_A_PAGE_FILE' });
  }
});

test('a search after a block count that is far too low can be interrupted, and block 0 is reported', async () => {
  const bytes = new Uint8Array(30 * BLOCK_BYTES);
  bytes.set(await fileWithFreeList());
  bytes[40]! ^= 1;
  const controller = new AbortController();
  const file = new RecordingBlockFile(bytes);
  file.failOn = (step): undefined => {
    if (step.kind === 'read' && step.position === fileOffset(10)) controller.abort();
  };
  const findings: Finding[] = [];
  const summary = await verify(file, {
    onFinding: (finding) => void findings.push(finding),
    signal: controller.signal,
  });
  expect(summary).toMatchObject({ interrupted: true, blocks: 1 });
  expect(brief(findings)).toContain('error FILE_HEADER_CHECKSUM 0');
  const reads = file.operations.filter((step) => step.kind === 'read');
  expect(Math.max(...reads.map(({ position }) => position))).toBe(fileOffset(10));
});
