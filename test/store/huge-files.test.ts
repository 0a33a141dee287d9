import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type BlockFile, MemoryBlockFile } from '../../src/disk/block-file.ts';
import { DiskManager } from '../../src/disk/disk-manager.ts';
import { FILE_HEADER } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, encodeFreeLink, fileOffset } from '../../src/format/layout.ts';
import { recover } from '../../src/recover/recover.ts';
import { repair } from '../../src/repair/repair.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { compact } from '../../src/transfer/compact.ts';
import { diff } from '../../src/transfer/diff.ts';
import { exportNodes } from '../../src/transfer/export.ts';
import { verify } from '../../src/verify/verify.ts';
import { stat } from '../../src/view/statistics.ts';
import { damaged, smallFile, withHeader } from '../support/damage.ts';
import { FaultyBlockFile } from '../../src/disk/faulty-block-file.ts';
import { HugeFile } from '../support/huge-file.ts';
import { temporaryFolder } from '../support/files.ts';
import { text } from '../support/nodes.ts';

const folder = temporaryFolder();

const TIB = 2 ** 40;
const BLOCKS = (2 * TIB) / BLOCK_BYTES;

interface Stop {
  readonly signal: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

type Call = (file: BlockFile, stop: Stop) => Promise<unknown>;

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

const reading = async (file: BlockFile, { signal, onProgress }: Stop): Promise<void> =>
  drain((await PageStore.open(file, { access: 'read', signal })).pages({ ...(onProgress && { onProgress }) }));

const readers: Record<string, Call> = {
  stat,
  pages: reading,
  exportNodes: (file, stop) => drain(exportNodes(file, stop)),
  verify: async (file, stop) => {
    const { interrupted } = await verify(file, stop);
    stop.signal.throwIfAborted();
    expect(interrupted).toBe(false);
  },
  recover: (file, stop) => recover(file, new MemoryBlockFile(), stop),
  compact: (file, stop) => compact(file, new MemoryBlockFile(), stop),
  'diff by places': async (file, stop) => diff(file, new MemoryBlockFile(await smallFile('v1')), stop),
  'diff by nodes': async (file, stop) =>
    diff(file, new MemoryBlockFile(await smallFile('v1')), { ...stop, compare: 'nodes' }),
  'repair, as a dry run': (file, stop) => repair(file, { ...stop, dryRun: true }),
};

const writing =
  (change: (store: PageStore) => Promise<unknown>): Call =>
  async (file, stop) =>
    change(await PageStore.open(file, stop));

const writers: Record<string, Call> = {
  append: writing((store) => store.append(text('x'))),
  allocate: writing((store) => store.allocate(1)),
  free: writing((store) => store.free(1)),
  finalize: async (file, stop) => (await PageStore.open(file, stop)).finalize(stop),
};

const bit31 = (bytes: Uint8Array): Uint8Array => damaged(bytes, (copy) => (copy[27] = 0x80));

describe('a block count with bit 31 set', () => {
  const table = Object.keys({ ...readers, ...writers }).flatMap((call) => [
    { call, checksum: 'wrong' },
    { call, checksum: 'right' },
  ]);

  test.each(table)('$call reads no more than the file has, with a $checksum checksum', async ({ call, checksum }) => {
    const good = await smallFile('v2');
    const counted = FILE_HEADER.read(good).blockCount + 2 ** 31;
    const file = new HugeFile(
      checksum === 'right' ? withHeader(good, { blockCount: counted }) : bit31(good),
      good.length,
    );
    const run = { ...readers, ...writers }[call];
    const calls: number[] = [];
    const { signal } = new AbortController();
    const error: unknown = await run?.(file, { signal, onProgress: (done) => void calls.push(done) }).catch(
      (thrown: unknown) => thrown,
    );
    // Most refuse the file, or stop at the first block that is missing.
    if (error !== undefined) expect(error).toBeTypeOf('object');
    expect(file.reads).toBeLessThan(300);
    expect(calls.length).toBeLessThan(10);
  });

  test('stat counts the missing blocks as damaged pages', async () => {
    const good = await smallFile('v1');
    const { damagedPages, nodes, blocks } = await stat(new HugeFile(bit31(good), good.length));
    expect({ damagedPages, nodes, blocks }).toEqual({ damagedPages: 2 ** 31, nodes: 20, blocks: 2 ** 31 + 2 });
  });
});

const files: Record<string, (good: Uint8Array) => Uint8Array> = {
  'a tail of 2 TiB that no header counts': (good) => good,
  'a tail of 2 TiB and bit 31 of the block count': bit31,
  'two TiB of counted blocks without a page': (good) => withHeader(good, { blockCount: BLOCKS }),
  'two TiB of counted blocks and no entry count': (good) => withHeader(good, { blockCount: BLOCKS, entryCount: 0n }),
};

/** Calls that need not look at the tail, or refuse the file at once. */
const short: Record<string, readonly string[]> = {
  'a tail of 2 TiB that no header counts': [
    'stat',
    'pages',
    'exportNodes',
    'diff by places',
    'diff by nodes',
    'repair, as a dry run',
  ],
  'a tail of 2 TiB and bit 31 of the block count': ['compact', 'repair, as a dry run', ...Object.keys(writers)],
  'two TiB of counted blocks without a page': ['append', 'allocate', 'free'],
  'two TiB of counted blocks and no entry count': ['append', 'allocate', 'free'],
};

describe.each(Object.keys(files))('in a file with %s', (kind) => {
  const calls = Object.keys({ ...readers, ...writers });
  const slow = calls.filter((call) => short[kind]?.includes(call) !== true);

  async function hugeFile(): Promise<HugeFile> {
    return new HugeFile(files[kind]?.(await smallFile('v1')) ?? new Uint8Array(), 2 * TIB);
  }

  test.each(slow)('%s heeds a signal that comes with the event loop, and shows progress', async (call) => {
    const file = await hugeFile();
    const controller = new AbortController();
    const stopped = new Error('stopped');
    const calls: number[] = [];
    const onProgress = (done: number): void => {
      calls.push(done);
      // As a signal of the system: later, when the event loop has a turn.
      if (calls.length === 2) setTimeout(() => controller.abort(stopped), 0);
    };
    const run = { ...readers, ...writers }[call];
    await expect(run?.(file, { signal: controller.signal, onProgress })).rejects.toBe(stopped);
    expect(calls.length).toBeGreaterThanOrEqual(2);
    expect(file.reads).toBeLessThan(BLOCKS / 100);
  });
});

test('append to a file whose count of entries is 0 can be stopped while it looks for nodes', async () => {
  const bytes = withHeader(await smallFile('v1', false, 0), { blockCount: BLOCKS, entryCount: 0n });
  const file = new HugeFile(bytes, 2 * TIB);
  const controller = new AbortController();
  const store = await PageStore.open(file, { signal: controller.signal });
  const stopped = new Error('stopped');
  setTimeout(() => controller.abort(stopped), 0);
  await expect(store.append(text('x'))).rejects.toBe(stopped);
  expect(file.reads).toBeLessThan(BLOCKS / 100);
});

test('reading a long free list can be stopped', async () => {
  const blocks = 200_000;
  const links = new Uint8Array(8);
  const good = withHeader(await smallFile('v1'), { blockCount: blocks, freeListHead: encodeFreeLink(2) });
  class FreeFile extends HugeFile {
    override async read(target: Uint8Array, position: number): Promise<number> {
      const read = await super.read(target, position);
      const block = position / BLOCK_BYTES;
      if (!Number.isInteger(block) || block < 2) return read;
      new DataView(links.buffer).setBigUint64(0, encodeFreeLink(block + 1), true);
      target.set(links.subarray(0, target.length));
      return read;
    }
  }
  const file = new FreeFile(good, fileOffset(blocks));
  const controller = new AbortController();
  const stopped = new Error('stopped');
  const disk = await DiskManager.open(file, 'read', { signal: controller.signal });
  setTimeout(() => controller.abort(stopped), 0);
  await expect(disk.freeBlocks()).rejects.toBe(stopped);
  expect(file.reads).toBeLessThan(blocks / 2);
});

describe('allocate that is stopped', () => {
  async function takenOf(blocks: number): Promise<{ taken: number[]; bytes: Uint8Array }> {
    const memory = new MemoryBlockFile();
    const file = new FaultyBlockFile(memory);
    const controller = new AbortController();
    await (await PageStore.create(file)).close();
    const store = await PageStore.open(file, { signal: controller.signal });
    const listedBlocks = await store.allocate(3);
    for (const block of listedBlocks) await store.free(block);
    let syncs = 0;
    file.onCall = ({ kind }) => {
      if (kind === 'sync' && ++syncs === 2) controller.abort(new Error('stopped'));
      return undefined;
    };
    const taken = await store.allocate(blocks);
    file.onCall = undefined;
    await store.close();
    return { taken, bytes: memory.bytes.slice() };
  }

  test('resolves with the free blocks that it has taken', async () => {
    const { taken, bytes } = await takenOf(10);
    expect(taken).toEqual([4, 3]);
    expect((await verify(new MemoryBlockFile(bytes))).findings).toMatchObject({ error: 0, warning: 0 });
  });

  test('rejects if it has taken none, and the file is as before', async () => {
    const path = join(folder, 'grows.part');
    await (await PageStore.create(path)).close();
    const before = statSync(path).size;
    const controller = new AbortController();
    const store = await PageStore.open(path, { signal: controller.signal });
    const stopped = new Error('stopped');
    setTimeout(() => controller.abort(stopped), 0);
    await expect(store.allocate(20_000)).rejects.toBe(stopped);
    await store.close();
    expect(statSync(path).size).toBe(before);
  });
});
