import { describe, expect, test } from 'vitest';
import { DiskManager } from '../../src/disk/disk-manager.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { writeNewFile } from '../../src/disk/page-file.ts';
import { encodeFileHeader, FILE_HEADER, type FileHeader, headerCopyState } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { encodeEmptyPageHeader } from '../../src/format/page-header.ts';
import { GOLDEN_NAMES, goldenBytes } from '../support/files.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { specFreeList } from '../support/spec-reader.ts';

const HEAD = encodeEmptyPageHeader('v1');

async function newBytes(pages: number): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  await writeNewFile(
    file,
    Array.from({ length: pages }, () => HEAD),
  );
  return file.bytes.slice();
}

/** The bytes of a file of three blocks with a changed header, with or without a matching checksum. */
async function withHeader(change: Partial<FileHeader>, checksum = true): Promise<Uint8Array> {
  const bytes = await newBytes(2);
  const header = { ...FILE_HEADER.read(bytes), ...change };
  if (checksum) bytes.set(encodeFileHeader(header));
  else FILE_HEADER.write(header, bytes);
  return bytes;
}

const opening = (bytes: Uint8Array, access: 'read' | 'write'): Promise<DiskManager> =>
  DiskManager.open(new MemoryBlockFile(bytes), access);

describe('opening', () => {
  test.each(GOLDEN_NAMES)('%s, written by the Rust code, can be opened for reading', async (name) => {
    const bytes = goldenBytes(name);
    expect((await opening(bytes, 'read')).blockCount).toBe(bytes.length / BLOCK_BYTES);
  });

  test.each([
    ['a magic that is not ours', { magic: 1n }, 'FILE_HEADER_MAGIC', true],
    ['a version to come', { version: 3 }, 'FILE_HEADER_VERSION', true],
    ['version 0', { version: 0 }, 'FILE_HEADER_VERSION', true],
    ['padding that is not zero', { padding: 1 }, 'FILE_HEADER_RESERVED', false],
    ['an LSN in version 1', { version: 1, imageCheckpointLsn: 5n }, 'FILE_HEADER_RESERVED', false],
    ['more blocks than the file has', { blockCount: 9 }, 'BLOCK_COUNT_BEYOND_FILE', false],
    ['no block at all', { blockCount: 0 }, 'BLOCK_COUNT_BEYOND_FILE', false],
    ['a free list outside the file', { freeListHead: 77n << 40n }, 'FREE_LIST_LINK', false],
    ['a free list that is no link', { freeListHead: 5n }, 'FREE_LIST_LINK', false],
  ])(
    'a file with %s cannot be opened for writing: it has an error code of its own',
    async (_, change, code, toReaders) => {
      const bytes = await withHeader(change);
      await expect(opening(bytes, 'write')).rejects.toMatchObject({ code });
      if (toReaders) await expect(opening(bytes, 'read')).rejects.toMatchObject({ code });
      else await opening(bytes, 'read');
    },
  );

  test('a file with a stale header can be opened for reading only, and nothing is written', async () => {
    const bytes = goldenBytes('stale-header');
    const file = new RecordingBlockFile(bytes);
    await expect(DiskManager.open(file, 'write')).rejects.toMatchObject({ code: 'FILE_HEADER_CHECKSUM' });
    expect(file.count('write')).toBe(0);
    expect((await opening(bytes, 'read')).blockCount).toBe(2);
  });

  test('a file cut inside a block can be opened for reading only, and has the blocks before the cut', async () => {
    const bytes = (await newBytes(2)).slice(0, 2.5 * BLOCK_BYTES);
    await expect(opening(bytes, 'write')).rejects.toMatchObject({ code: 'FILE_SIZE' });
    const disk = await opening(bytes, 'read');
    await disk.read(1, new Uint8Array(BLOCK_BYTES));
    await expect(disk.read(2, new Uint8Array(BLOCK_BYTES))).rejects.toMatchObject({ code: 'BLOCK_COUNT_BEYOND_FILE' });
    await expect(disk.read(3, new Uint8Array(BLOCK_BYTES))).rejects.toMatchObject({ code: 'BLOCK_RANGE' });
  });

  test.each([0, 1, 63])('%d bytes are not a page file', async (length) => {
    await expect(opening(new Uint8Array(length).fill(1), 'read')).rejects.toMatchObject({ code: 'NOT_A_PAGE_FILE' });
  });

  test('what an interrupted batch left after the last block is cut off, but not a page of another program', async () => {
    const bytes = new Uint8Array(3.5 * BLOCK_BYTES);
    bytes.set(await newBytes(2));
    const file = new MemoryBlockFile(bytes.slice());
    await DiskManager.open(file, 'write');
    expect(await file.size()).toBe(3 * BLOCK_BYTES);

    const foreign = new Uint8Array(4 * BLOCK_BYTES);
    foreign.set(await newBytes(2));
    foreign.set(goldenBytes('v1').subarray(BLOCK_BYTES, 2 * BLOCK_BYTES), 3 * BLOCK_BYTES);
    await expect(opening(foreign, 'write')).rejects.toMatchObject({ code: 'BLOCKS_UNCOUNTED', detail: { block: 3 } });
  });
});

describe('blocks', () => {
  test('are taken from the free list, last freed first, and then by growth', async () => {
    const file = new MemoryBlockFile(await newBytes(3));
    const disk = await DiskManager.open(file, 'write');
    await disk.free(1, 0);
    await disk.free(3, 0);
    expect([...specFreeList(Buffer.from(file.bytes))]).toEqual([3, 1]);
    expect(file.bytes.subarray(fileOffset(3) + 8, fileOffset(3) + 64).every((byte) => byte === 0)).toBe(true);
    expect(await disk.allocate(4, 'v1')).toEqual([3, 1, 4, 5]);
    expect(disk.blockCount).toBe(6);
    expect(file.bytes.length).toBe(6 * BLOCK_BYTES);
    expect(specFreeList(Buffer.from(file.bytes)).size).toBe(0);
  });

  test('that are free, missing, or the header cannot be freed', async () => {
    const disk = await opening(await newBytes(2), 'write');
    await disk.free(1, 0);
    await expect(disk.free(1, 0)).rejects.toMatchObject({ code: 'BLOCK_FREE' });
    for (const block of [0, 3, 99]) await expect(disk.free(block, 0)).rejects.toMatchObject({ code: 'BLOCK_RANGE' });
  });

  test.each([
    ['leads out of the file', 99n << 40n, 'FREE_LIST_LINK'],
    ['is no link', 12345n, 'FREE_LIST_LINK'],
    ['leads back to its own block', 1n << 40n, 'FREE_LIST_LINK'],
    ['closes a circle', 2n << 40n, 'FREE_LIST_CYCLE'],
  ])('whose link %s are an error of their own, and are not followed forever', async (_, link, code) => {
    const bytes = await newBytes(3);
    const file = new MemoryBlockFile(bytes);
    const disk = await DiskManager.open(file, 'write');
    await disk.free(1, 0);
    await disk.free(2, 0);
    new DataView(file.bytes.buffer).setBigUint64(fileOffset(1), link, true);
    await disk.close();
    const again = await DiskManager.open(file, 'write');
    await expect(again.free(3, 0)).rejects.toMatchObject({ code });
  });
});

describe('a commit', () => {
  test('writes its record after the blocks, syncs once, and only then checkpoints the headers', async () => {
    const file = new RecordingBlockFile(await newBytes(1));
    const disk = await DiskManager.open(file, 'write');
    file.operations = [];
    await disk.write(2, new Uint8Array(BLOCK_BYTES));
    await disk.commit({ changed: { block: 1, head: HEAD, oldHead: HEAD }, added: { count: 1, headsCrc: 0 } });
    const steps = file.operations.map((step) =>
      step.kind === 'write' ? `write ${step.position}+${step.bytes.length}` : step.kind,
    );
    expect(steps).toEqual([
      'write 524288+262144',
      'write 8192+192',
      'sync',
      'write 262144+64',
      'write 0+128',
      'read',
      'write 12288+128',
    ]);
  });

  test('whose sync fails removes its record and makes the handle unusable: nothing is tried again', async () => {
    const file = new RecordingBlockFile(await newBytes(1));
    const disk = await DiskManager.open(file, 'write');
    file.operations = [];
    file.failOn = (operation) => (operation.kind === 'sync' ? 'EIO' : undefined);
    await expect(disk.commit({})).rejects.toMatchObject({ code: 'IO', detail: { errno: 'EIO' } });
    file.failOn = () => undefined;
    await expect(disk.commit({})).rejects.toMatchObject({ code: 'IO' });
    await expect(disk.read(1, new Uint8Array(8))).rejects.toMatchObject({ code: 'IO' });
    const record = { kind: 'write', position: 8192 };
    expect(file.operations).toMatchObject([record, { ...record, bytes: new Uint8Array(192) }]);
    file.operations = [];
    await disk.close();
    expect(file.operations).toEqual([{ kind: 'close' }]);
  });

  test('through a handle for reading is refused', async () => {
    const disk = await opening(await newBytes(1), 'read');
    await expect(disk.commit({})).rejects.toMatchObject({ code: 'FILE_READ_ONLY' });
  });
});

describe('closing', () => {
  test('updates the header copy after a commit, and writes nothing without one', async () => {
    const file = new RecordingBlockFile(await newBytes(1));
    await (await DiskManager.open(file, 'write')).close();
    expect(file.count('write')).toBe(0);
    const disk = await DiskManager.open(file, 'write');
    await disk.allocate(1, 'v1');
    await disk.close();
    expect(headerCopyState(file.bytes)).toBe('valid');
    expect(file.bytes.slice(12_288, 12_288 + 64)).toEqual(file.bytes.slice(0, 64));
    await expect(disk.read(1, new Uint8Array(8))).rejects.toMatchObject({ code: 'FILE_CLOSED' });
  });
});
