import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Commit } from '../../src/disk/commit-log.ts';
import { DiskManager } from '../../src/disk/disk-manager.ts';
import type { Overwrite } from '../../src/disk/journal.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { writeNewFile } from '../../src/disk/page-file.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { encodeEmptyPageHeader, type PageFormat } from '../../src/format/page-header.ts';
import { text } from '../support/nodes.ts';
import { brief, verifyAll } from '../support/verify.ts';

const HEAD = encodeEmptyPageHeader('v1');

async function open(pages = 2): Promise<{ disk: DiskManager; file: MemoryBlockFile }> {
  const file = new MemoryBlockFile();
  await writeNewFile(
    file,
    Array.from({ length: pages }, () => HEAD),
  );
  return { disk: await DiskManager.open(file, 'write'), file };
}

function detached(): Uint8Array {
  const bytes = new Uint8Array(64);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

const crossing = BLOCK_BYTES - 4;
const change: Overwrite = {
  block: 1,
  image: new Uint8Array(BLOCK_BYTES),
  bytes: new Uint8Array(4),
  changed: { start: 64, end: 68 },
  head: HEAD,
};
const heads = { block: 1, head: HEAD, oldHead: HEAD };
/** What a caller without types can pass. */
const untyped = (value: unknown): Uint8Array => value as Uint8Array;

describe('a disk manager refuses, and names the parameter:', () => {
  test.each<[string, (disk: DiskManager) => Promise<unknown>, ErrorConstructor, string]>([
    ['writing to block 0, the file header', (disk) => disk.write(0, text('x')), RangeError, 'block'],
    ['writing to a block before the file', (disk) => disk.write(-1, text('x')), RangeError, 'block'],
    ['writing to a fraction of a block', (disk) => disk.write(1.5, text('x')), RangeError, 'block'],
    ['writing to no number', (disk) => disk.write(Number.NaN, text('x')), RangeError, 'block'],
    ['writing after a gap', (disk) => disk.write(4, new Uint8Array(BLOCK_BYTES)), RangeError, 'block'],
    ['writing into the next block', (disk) => disk.write(1, text('12345'), crossing), RangeError, 'source'],
    ['writing before the block', (disk) => disk.write(2, text('x'), -1), RangeError, 'offset'],
    ['writing at a fraction of a byte', (disk) => disk.write(1, text('x'), 70.5), RangeError, 'offset'],
    ['writing over the header of a page', (disk) => disk.write(1, HEAD), RangeError, 'offset'],
    ['writing over the end of a page header', (disk) => disk.write(1, text('x'), 63), RangeError, 'offset'],
    ['writing text', (disk) => disk.write(1, untyped('text')), TypeError, 'source'],
    ['writing other numbers', (disk) => disk.write(1, untyped(new Uint16Array(4))), TypeError, 'source'],
    ['writing bytes that were transferred', (disk) => disk.write(1, detached()), TypeError, 'source'],
    ['reading into the next block', (disk) => disk.read(1, new Uint8Array(5), crossing), RangeError, 'target'],
    ['reading before the block', (disk) => disk.read(2, new Uint8Array(4), -4), RangeError, 'offset'],
    ['reading at a fraction of a byte', (disk) => disk.read(1, new Uint8Array(4), 0.5), RangeError, 'offset'],
    ['reading a fraction of a block', (disk) => disk.read(1.5, new Uint8Array(4)), RangeError, 'block'],
    ['reading into an array', (disk) => disk.read(1, untyped([0, 0])), TypeError, 'target'],
    ['reading into memory that was transferred', (disk) => disk.read(1, detached()), TypeError, 'target'],
    ['reading a block into less', (disk) => disk.readStable(1, new Uint8Array(8), () => true), RangeError, 'target'],
    ['adding fewer than no blocks', (disk) => disk.lengthen(-1), RangeError, 'blocks'],
    ['adding no blocks', (disk) => disk.lengthen(0), RangeError, 'blocks'],
    ['adding half a block', (disk) => disk.lengthen(0.5), RangeError, 'blocks'],
    ['allocating no blocks', (disk) => disk.allocate(0, 'v1'), RangeError, 'count'],
    ['allocating fewer than no blocks', (disk) => disk.allocate(-1, 'v1'), RangeError, 'count'],
    ['allocating half a block', (disk) => disk.allocate(1.5, 'v1'), RangeError, 'count'],
    ['allocating blocks of no format', (disk) => disk.allocate(1, 'v3' as PageFormat), RangeError, 'pageFormat'],
    ['taking a block of no format', (disk) => disk.takeFreeBlock('' as PageFormat), RangeError, 'pageFormat'],
    ['freeing half a block', (disk) => disk.free(1.5), RangeError, 'block'],
    ['freeing half a node', (disk) => disk.free(1, 0.5), RangeError, 'nodes'],
    ['freeing fewer than no nodes', (disk) => disk.free(1, -1), RangeError, 'nodes'],
    ['replacing the file header', (disk) => disk.commitHeads([{ ...heads, block: 0 }]), RangeError, 'block'],
    ['replacing the header of no block', (disk) => disk.commitHeads([{ ...heads, block: 3 }]), RangeError, 'block'],
    ['replacing a header by more', (disk) => disk.commitHeads([{ ...heads, head: text('x') }]), RangeError, 'head'],
    ['replacing no header', (disk) => disk.commitHeads([{ ...heads, oldHead: text('') }]), RangeError, 'oldHead'],
    ['overwriting the file header', (disk) => disk.overwrite({ ...change, block: 0 }), RangeError, 'block'],
    ['overwriting no block', (disk) => disk.overwrite({ ...change, block: 77 }), RangeError, 'block'],
    ['overwriting with another length', (disk) => disk.overwrite({ ...change, bytes: text('x') }), RangeError, 'bytes'],
    ['overwriting without an image', (disk) => disk.overwrite({ ...change, image: HEAD }), RangeError, 'image'],
    ['overwriting with no header', (disk) => disk.overwrite({ ...change, head: text('x') }), RangeError, 'head'],
    ['committing nothing', (disk) => disk.commit(undefined as never), TypeError, 'commit: commit'],
    ['committing headers that are no array', (disk) => disk.commitHeads(5 as never), TypeError, 'heads'],
    [
      'committing a header that is none',
      (disk) => disk.commitHeads([{ ...heads, head: new Uint8Array(64).fill(0x41) }]),
      RangeError,
      'heads.head',
    ],
    ['overwriting nothing', (disk) => disk.overwrite({} as never), TypeError, 'change.changed'],
    ['work that is no function', (disk) => disk.truncateOnFailure(5 as never), TypeError, 'work'],
    [
      'reading without a check',
      (disk) => disk.readStable(1, new Uint8Array(BLOCK_BYTES), undefined as never),
      TypeError,
      'isValid',
    ],
    [
      'overwriting a page header',
      (disk) => disk.overwrite({ ...change, changed: { start: 60, end: 64 } }),
      RangeError,
      'changed.start',
    ],
    [
      'overwriting the next block',
      (disk) => disk.overwrite({ ...change, changed: { start: BLOCK_BYTES - 2, end: BLOCK_BYTES + 2 } }),
      RangeError,
      'changed.end',
    ],
  ])('%s', async (_, call, type, parameter) => {
    const { disk, file } = await open();
    const before = file.bytes.slice();
    const error: unknown = await call(disk).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toContain(parameter);
    expect(Buffer.compare(file.bytes, before)).toBe(0);
    await disk.allocate(1, 'v1');
    await disk.close();
    expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual([]);
  });

  test.each<[string, Commit, string]>([
    ['blocks that were not written', { added: { count: 5, headsCrc: 0 } }, 'added.count'],
    ['fewer than no blocks', { added: { count: -1, headsCrc: 0 } }, 'added.count'],
    ['half a block', { added: { count: 0.5, headsCrc: 0 } }, 'added.count'],
    ['a first free block that is not in the file', { firstFree: 77 }, 'firstFree'],
    ['a first free block that is no number', { firstFree: Number.NaN }, 'firstFree'],
    ['a first free block before the file', { firstFree: -1 }, 'firstFree'],
    ['a page as the first free block', { changed: heads, firstFree: 1 }, 'firstFree'],
    ['a freed block that is not on the list', { changed: { ...heads, isLink: true } }, 'firstFree'],
    ['a page as the first free block, and nothing else', { firstFree: 1 }, 'firstFree'],
    ['an empty free list, where there is one already', { firstFree: 0 }, 'firstFree'],
    ['bytes that are no page header', { changed: { ...heads, head: new Uint8Array(64).fill(0x41) } }, 'changed.head'],
    [
      'a link to a block that is not the first free one',
      { changed: { ...heads, head: new Uint8Array(64).fill(1, 5, 6), isLink: true }, firstFree: 1 },
      'changed.head',
    ],
    ['half a node', { nodes: 0.5 }, 'nodes'],
    ['a header for block 0', { changed: { ...heads, block: 0 } }, 'changed.block'],
    ['a header for no block', { changed: { ...heads, block: 3 } }, 'changed.block'],
    ['a header of another length', { changed: { ...heads, head: text('x') } }, 'changed.head'],
    ['an old header of another length', { changed: { ...heads, oldHead: HEAD.subarray(1) } }, 'changed.oldHead'],
  ])('committing %s', async (_, commit, parameter) => {
    const { disk, file } = await open();
    const error: unknown = await disk.commit(commit).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RangeError);
    expect((error as Error).message).toContain(parameter);
    await disk.close();
    expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual([]);
  });

  test('committing a new block of which only a part was written', async () => {
    const { disk, file } = await open();
    await disk.write(3, HEAD);
    await expect(disk.commit({ added: { count: 1, headsCrc: 0 } })).rejects.toThrow('only 0 new blocks');
    await disk.write(3, new Uint8Array(BLOCK_BYTES));
    await disk.write(4, new Uint8Array(BLOCK_BYTES));
    await expect(disk.commit({ added: { count: 3, headsCrc: 0 } })).rejects.toThrow('only 2 new blocks');
    await disk.close();
    expect(file.bytes).toHaveLength(3 * BLOCK_BYTES);
  });
});

test('a disk manager refuses to write over the link of a free block, but not after it', async () => {
  const { disk, file } = await open(3);
  await disk.free(2);
  await disk.free(1);
  await expect(disk.write(2, text('x'))).rejects.toThrow('offset must be at least 64');
  await disk.write(2, text('x'), 64);
  await disk.close();
  expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual([]);
});

test('a disk manager reads and writes up to the last byte of a block', async () => {
  const { disk, file } = await open();
  await disk.write(1, text('1234'), crossing);
  const target = new Uint8Array(4);
  await disk.read(1, target, crossing);
  expect(target).toEqual(text('1234'));
  await disk.write(2, new Uint8Array(0), BLOCK_BYTES);
  expect(file.bytes.subarray(2 * BLOCK_BYTES, 2 * BLOCK_BYTES + 64)).toEqual(HEAD);
});

test('sync makes written bytes and committed headers durable, and does nothing where they are', async () => {
  const { file, disk } = await open();
  let syncs = 0;
  file.sync = async () => void syncs++;
  await disk.sync();
  expect(syncs).toBe(0);
  await disk.write(1, text('x'), 100);
  await disk.sync();
  await disk.sync();
  expect(syncs).toBe(1);
  await disk.allocate(1, 'v1');
  syncs = 0;
  await disk.sync();
  await disk.sync();
  expect(syncs).toBe(1);
});

test('a disk manager and a file in memory are shown in one line', async () => {
  const { disk, file } = await open();
  expect(inspect(disk)).toBe("DiskManager { 'memory', write, 3 blocks }");
  expect(inspect(await DiskManager.open(file, 'read'))).toBe("DiskManager { 'memory', read, 3 blocks }");
  await disk.close();
  expect(inspect(disk)).toBe("DiskManager { 'memory', write, closed, 3 blocks }");
  expect(inspect(file)).toBe("MemoryBlockFile { 'memory', 786432 bytes }");
});
