import { describe, expect, test } from 'vitest';
import { DiskManager } from '../../src/disk/disk-manager.ts';
import { MemoryBlockFile, MemoryJournal } from '../../src/disk/block-file.ts';
import { FaultyBlockFile } from '../../src/disk/faulty-block-file.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { decodePage, recomputePageHeader } from '../../src/format/page.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { importNodes } from '../../src/transfer/import.ts';
import { makeNodes, text } from '../support/nodes.ts';
import { verifyAll } from '../support/verify.ts';

// A caller that uses its buffer for something else as soon as a call has returned its promise.

const FORMATS: PageFormat[] = ['v1', 'v2'];
const RUNS = 50;
const GARBAGE = 0xee;

const fill = (bytes: Uint8Array, value: number): Uint8Array => bytes.fill(value);

/** Fails if a page of the file is damaged. */
async function expectSound(file: MemoryBlockFile): Promise<void> {
  const { findings } = await verifyAll(file.bytes);
  expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
}

/** A file that transfers a buffer before each write of a whole page. */
function transferAtFirstPage(file: MemoryBlockFile, bytesOf: () => Uint8Array): FaultyBlockFile {
  const faulty = new FaultyBlockFile(file);
  faulty.onCall = (call) => {
    if (call.kind !== 'write' || call.bytes.length < BLOCK_BYTES) return undefined;
    const { buffer } = bytesOf();
    if (buffer.byteLength > 0) structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    return undefined;
  };
  return faulty;
}

/** A detached array, or one over a buffer that became too short. */
const LOST_MEMORY: readonly [string, () => Uint8Array][] = [
  [
    'a transferred buffer',
    () => {
      const bytes = new Uint8Array(8).fill(1);
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      return bytes;
    },
  ],
  [
    'a transferred Buffer',
    () => {
      const bytes = Buffer.from(new ArrayBuffer(8));
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      return bytes;
    },
  ],
  [
    'a buffer that became too short',
    () => {
      const Resizable = ArrayBuffer as unknown as new (
        bytes: number,
        options: object,
      ) => ArrayBuffer & { resize(bytes: number): void };
      const buffer = new Resizable(16, { maxByteLength: 16 });
      const bytes = new Uint8Array(buffer, 8);
      buffer.resize(4);
      return bytes;
    },
  ],
];

describe.each(FORMATS)('a caller that overwrites its buffer at once, %s:', (pageFormat) => {
  const KINDS: readonly [string, (bytes: number) => Uint8Array][] = [
    ['a Uint8Array', (bytes) => new Uint8Array(bytes)],
    ['a Buffer', (bytes) => Buffer.alloc(bytes)],
    ['shared memory', (bytes) => new Uint8Array(new SharedArrayBuffer(bytes))],
  ];

  test.each(KINDS)('update stores what it was called with, %s', async (_, allocate) => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat });
    await store.appendMany(makeNodes(RUNS, 40, 40));
    const buffer = allocate(40);
    for (let run = 0; run < RUNS; run++) {
      const ref = { block: 1, slot: run };
      const updated = store.update(ref, fill(buffer, run + 1));
      fill(buffer, GARBAGE);
      ref.slot = 0;
      await updated;
    }
    // Waiting calls too: each waits for the one before.
    const waiting = Array.from({ length: RUNS }, (__, run) => {
      const updated = store.update({ block: 1, slot: run }, fill(buffer, 100 + run));
      fill(buffer, GARBAGE);
      return updated;
    });
    await Promise.all(waiting);
    for (let run = 0; run < RUNS; run++) {
      expect((await store.read({ block: 1, slot: run }))[0]).toBe(100 + run);
    }
    await store.close();
    await expectSound(file);
  });

  test('append, alone and among others, stores what it was called with', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat });
    const buffer = new Uint8Array(40);
    const appended = Array.from({ length: RUNS }, (_, run) => {
      const ref = store.append(fill(buffer, run));
      fill(buffer, GARBAGE);
      return ref;
    });
    const refs = await Promise.all(appended);
    for (const [run, ref] of refs.entries()) expect((await store.read(ref))[0]).toBe(run);
    await store.close();
    await expectSound(file);
  });

  test('appendMany may store other bytes, in pages that are not damaged, and takes the lengths at once', async () => {
    for (let run = 0; run < RUNS; run++) {
      const file = new MemoryBlockFile();
      const store = await PageStore.create(file, { pageFormat });
      const [bytes, lengths] = [new Uint8Array(600_000).fill(run), new Uint32Array(300).fill(2000)];
      const appended = store.appendMany(bytes, lengths);
      fill(bytes, GARBAGE);
      lengths.fill(0xffff_ffff);
      const runs = await appended;
      expect(runs.reduce((sum, { count }) => sum + count, 0)).toBe(300);
      await store.close();
      await expectSound(file);
    }
  });

  test('appendMany refuses bytes that are transferred while it runs', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(
      transferAtFirstPage(file, () => current),
      { pageFormat },
    );
    let current = new Uint8Array(600_000).fill(1);
    await expect(store.appendMany(current, new Uint32Array(300).fill(2000))).rejects.toThrow(TypeError);
    current = new Uint8Array(200_000).fill(2);
    const nodes = [new Uint8Array(200_000), new Uint8Array(200_000), current];
    await expect(store.appendMany(nodes)).rejects.toThrow(TypeError);
    await store.close();
    await expectSound(file);
  });

  test('DiskManager.overwrite, commit, commitHeads and write take their bytes at once', async () => {
    for (let run = 0; run < RUNS; run++) {
      const file = new MemoryBlockFile();
      const store = await PageStore.create(file, { pageFormat });
      await store.append(new Uint8Array(40));
      await store.close();
      const disk = await DiskManager.open(file, 'write');
      const block = new Uint8Array(BLOCK_BYTES);
      await disk.read(1, block);
      const page = decodePage(block);
      if (page === undefined) throw new Error('block 1 is not a page');

      const start = page.directory.nodeOffset(0);
      const bytes = new Uint8Array(40).fill(run + 1);
      const image = block.slice();
      block.set(bytes, start);
      const head = recomputePageHeader(page);
      const changed = { start, end: start + 40 };
      const overwritten = disk.overwrite({ block: 1, image, bytes, changed, head });
      for (const each of [image, bytes, head]) fill(each, GARBAGE);
      changed.end = changed.start = 64;
      await overwritten;

      await disk.read(1, block);
      const replaced = { block: 1, head: block.slice(0, 64), oldHead: block.slice(0, 64) };
      const replacedHeads = disk.commitHeads([replaced]);
      fill(replaced.head, GARBAGE);
      fill(replaced.oldHead, GARBAGE);
      replaced.block = 9;
      await replacedHeads;

      const commit = { changed: { block: 1, head: block.slice(0, 64), oldHead: block.slice(0, 64) } };
      const committed = disk.commit(commit);
      fill(commit.changed.head, GARBAGE);
      commit.changed.block = 9;
      await committed;

      const free = page.header.freeOffset + 100_000;
      const more = new Uint8Array(20).fill(3);
      const written = disk.write(1, more, free);
      fill(more, GARBAGE);
      await written;
      await disk.read(1, block);
      expect(block[free]).toBe(3);
      expect(block[start]).toBe(run + 1);
      await disk.close();
      await expectSound(file);
    }
  });

  test('finalize takes the list of blocks at once', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat });
    await store.allocate(2);
    const blocks: number[] = [1, 2];
    const finalized = store.finalize({ blocks });
    blocks.fill(1.5);
    await finalized;
    const { block, header } = await store.readPage(2);
    expect([block.length, header.flags & 4]).toEqual([BLOCK_BYTES, 4]);
    await store.close();
    await expectSound(file);
  });
});

test.each(LOST_MEMORY)('a node in %s is refused, not stored as an empty node', async (_, lost) => {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  await expect(store.append(lost())).rejects.toThrow(TypeError);
  await expect(store.appendMany([lost()])).rejects.toThrow(TypeError);
  await expect(store.appendMany(lost(), [])).rejects.toThrow(TypeError);
  expect(() => store.stage(lost())).toThrow(TypeError);
  expect(() => store.stageMany(lost(), 0, new Uint32Array(1), 0, 1)).toThrow(TypeError);
  await store.append(new Uint8Array(0));
  await expect(store.update({ block: 1, slot: 0 }, lost())).rejects.toThrow(TypeError);
  await expect(importNodes([lost()], new MemoryBlockFile())).rejects.toThrow(TypeError);
});

test('MemoryBlockFile and its journal copy what is written at once, also from a Buffer', async () => {
  const file = new MemoryBlockFile();
  const buffer = Buffer.alloc(4, 1);
  const written = file.write(buffer, 0);
  buffer.fill(GARBAGE);
  await written;
  expect([...file.bytes]).toEqual([1, 1, 1, 1]);
  const journal = new MemoryJournal();
  buffer.fill(1);
  const kept = journal.write(buffer);
  buffer.fill(GARBAGE);
  await kept;
  expect([...((await journal.read()) ?? [])]).toEqual([1, 1, 1, 1]);
});

test('a chunk of lines that is transferred while it is imported is refused, not cut short', async () => {
  const lines = Array.from({ length: 60_000 }, (_, index) => `{"type":"node","text":"${index}"}\n`).join('');
  const chunk = new Uint8Array(text(lines));
  const target = transferAtFirstPage(new MemoryBlockFile(), () => chunk);
  await expect(importNodes([chunk], target)).rejects.toThrow(TypeError);
});
