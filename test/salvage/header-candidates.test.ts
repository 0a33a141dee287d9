import { describe, expect, test } from 'vitest';
import { encodeFileHeader, FILE_HEADER, type FileHeader, newFileHeader } from '../../src/format/file-header.ts';
import { headerByChecksum } from '../../src/salvage/header-candidates.ts';
import { encodeFreeLink, MAX_BLOCKS } from '../../src/format/layout.ts';

const BLOCKS = 200_000;

const V1 = { version: 1, imageCheckpointLsn: 0n };
const V2 = { version: 2, imageCheckpointLsn: 0x0102_0304_0506_0708n };

/** A header, and the same with some fields changed under its checksum. */
function damagedHeader(fields: Partial<FileHeader>, changed: Partial<FileHeader>): [Uint8Array, Uint8Array] {
  const sound = encodeFileHeader({ ...newFileHeader(BLOCKS), rootPointer: 3n << 40n, entryCount: 77n, ...fields });
  const damaged = sound.slice();
  FILE_HEADER.write({ ...FILE_HEADER.read(sound), ...changed }, damaged);
  return [sound, damaged];
}

describe.each([
  ['version 1', V1],
  ['version 2', V2],
])('a header of %s', (_, version) => {
  test.each([
    ['count', 'blockCount', 0xdead_beef, { blockCount: 131_072 }],
    ['count', 'blockCount', 0xdead_beef, { blockCount: BLOCKS }],
    ['count', 'blockCount', 0xdead_beef, { blockCount: 1, rootPointer: 0n }],
    ['field', 'freeListHead', 0xdead_beef_dead_beefn, { freeListHead: encodeFreeLink(BLOCKS - 1) }],
    ['field', 'freeListHead', 0xdead_beef_dead_beefn, { freeListHead: encodeFreeLink(65_536) }],
    ['field', 'freeListHead', 0xdead_beef_dead_beefn, { freeListHead: 0n }],
  ] as const)('is found by its %s: %s %d', async (part, field, wrong, fields) => {
    const [sound, damaged] = damagedHeader({ ...version, ...fields }, { [field]: wrong });
    expect(await headerByChecksum(damaged, BLOCKS, [])).toEqual({ part, bytes: sound });
  });
});

test('a number beyond the blocks of the file is not found', async () => {
  const [, count] = damagedHeader({ ...V2, blockCount: 1000 }, { blockCount: 7 });
  expect(await headerByChecksum(count, 999, [])).toBeUndefined();
  const [, link] = damagedHeader({ ...V2, freeListHead: encodeFreeLink(1000) }, { freeListHead: 1n });
  expect(await headerByChecksum(link, 1000, [])).toBeUndefined();
});

describe('the search can be stopped', () => {
  const lost = new Uint8Array(64).fill(0x5a);

  test('by a signal during the search', async () => {
    const controller = new AbortController();
    const reason = new Error('stopped');
    setImmediate(() => controller.abort(reason));
    await expect(headerByChecksum(lost, MAX_BLOCKS, [], controller.signal)).rejects.toBe(reason);
  });

  test('while it looks for a link of the free list', async () => {
    const reason = new Error('stopped');
    const [, damaged] = damagedHeader({ ...V2, freeListHead: encodeFreeLink(3) }, { freeListHead: 1n });
    await expect(headerByChecksum(damaged, 65_535, [], AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
