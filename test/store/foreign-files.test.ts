import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { encodeFileHeader, FILE_HEADER } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { newPageWriter } from '../../src/format/page.ts';
import { PAGE_HEADER } from '../../src/format/page-header.ts';
import { encodePointer } from '../../src/format/layout.ts';
import type { FinalizedPage } from '../../src/store/finalize.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { type GoldenName, goldenBytes, goldenNodes, expectSameBytes } from '../support/files.ts';
import { withoutDigest } from '../support/spec-digest.ts';
import { hexOf, makeNodes, text } from '../support/nodes.ts';
import { specNodes } from '../support/spec-reader.ts';
import { brief, verifyAll } from '../support/verify.ts';

/** Whether a byte of block 0 is in the file header, the digest, a commit record, or the header copy, with their digests. */
const isOurs = (offset: number): boolean =>
  offset < 64 ||
  (offset >= 88 && offset < 128) ||
  (offset >= 4096 && offset < 4288) ||
  (offset >= 8192 && offset < 8384) ||
  (offset >= 12_288 && offset < 12_416);

describe('a file that the Rust code wrote', () => {
  test('keeps every byte outside headers and free space when it is appended to', async () => {
    const before = goldenBytes('arenas');
    const file = new MemoryBlockFile(before.slice());
    const store = await PageStore.open(file);
    const nodes = makeNodes(6000, 6, 600);
    const runs = await store.appendMany(nodes);
    await store.close();
    const after = file.bytes;
    const changed: number[] = [];
    for (let at = 0; at < before.length; at++) if (before[at] !== after[at]) changed.push(at);
    const last = PAGE_HEADER.read(before, fileOffset(4));
    for (const at of changed) {
      const block = Math.floor(at / BLOCK_BYTES);
      const offset = at % BLOCK_BYTES;
      const inFreeSpace = block === 4 && offset >= last.freeOffset && offset < last.directoryStart;
      const inHeader = (block === 4 && offset < 48) || (block === 0 && isOurs(offset));
      expect(inFreeSpace || inHeader, `byte ${offset} of block ${block}`).toBe(true);
    }
    expect(runs[0]).toMatchObject({ block: 4, slot: last.nodeCount });
    const all = specNodes(after);
    expect(all.slice(0, 15_389).map((node) => [node.ref, hexOf(node.bytes)])).toEqual(
      goldenNodes('arenas').map(({ ref, hex }) => [ref, hex]),
    );
    expect(all.slice(15_389).map((node) => hexOf(node.bytes))).toEqual(nodes.map(hexOf));
    expect(FILE_HEADER.read(after).entryCount).toBe(BigInt(15_389 + 6000));
  });

  test.each(['v1', 'v2', 'arenas', 'empty'] satisfies GoldenName[])(
    '%s takes a node and verifies afterwards',
    async (name) => {
      const file = new MemoryBlockFile(goldenBytes(name).slice());
      const store = await PageStore.open(file);
      const ref = await store.append(text('ours'));
      await store.close();
      expect((await verifyAll(file.bytes)).summary.findings).toMatchObject({ error: 0, warning: 0 });
      const found = specNodes(file.bytes).find((node) => node.ref === `${ref.block}:${ref.slot}`);
      expect(found!.bytes.toString()).toBe('ours');
    },
  );

  test('with node bytes but no directory is neither appended to nor finalized in those pages', async () => {
    const before = goldenBytes('v2-unfinalized');
    const file = new MemoryBlockFile(before.slice());
    const store = await PageStore.open(file);
    expect(await store.append(text('ours'))).toEqual({ block: 3, slot: 0 });
    const pages: FinalizedPage[] = [];
    await store.finalize({ onPage: (page) => void pages.push(page) });
    expect(pages.map((page) => page.outcome)).toEqual(['damaged', 'damaged', 'sealed']);
    expect(pages[0]!.error).toMatchObject({ code: 'NODES_WITHOUT_DIRECTORY' });
    expectSameBytes(file.bytes.subarray(BLOCK_BYTES, 3 * BLOCK_BYTES), before.subarray(BLOCK_BYTES));
  });

  test('and then appended to again without a checksum causes a warning, and the next commit repairs it', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file);
    await store.appendMany([text('one'), text('two')]);
    await store.close();
    // As libdictenstein appends: node, slot, counts; our fields are carried along.
    const page = Buffer.from(file.bytes.buffer, fileOffset(1), BLOCK_BYTES);
    page.write('three', page.readUInt32LE(16));
    page.writeUInt32LE(page.readUInt32LE(16), BLOCK_BYTES - 24);
    page.writeUInt32LE(5, BLOCK_BYTES - 20);
    page.writeUInt32LE(page.readUInt32LE(16) + 5, 16);
    page.writeUInt32LE(3, 12);
    page.writeUInt32LE(BLOCK_BYTES - 24, 20);
    expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual([
      'warning PAGE_CHECKSUM_STALE 1',
      'warning ENTRY_COUNT 0',
    ]);
    const again = await PageStore.open(file);
    expect(Buffer.from(await again.read({ block: 1, slot: 2 })).toString()).toBe('three');
    await again.append(text('four'));
    expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual(['warning ENTRY_COUNT 0']);
  });
});

describe('bytes that are not ours', () => {
  /** A file with a root pointer, and with something in every byte that other programs may use. */
  async function foreignFile(): Promise<Uint8Array> {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file);
    await store.append(text('node'));
    await store.close();
    const bytes = withoutDigest(file.bytes);
    const header = FILE_HEADER.read(bytes);
    const rootPointer = encodePointer(0, 64, 0);
    bytes.set(encodeFileHeader({ ...header, flags: 0x80, rootPointer, entryCount: 77n, imageCheckpointLsn: 88n }));
    bytes.fill(0xee, 82, 88);
    bytes.fill(0xee, 128, 4096);
    bytes.fill(0xdd, 12_416, BLOCK_BYTES);
    return bytes;
  }

  test('are kept: flags, root pointer, counts, and block 0 after the header', async () => {
    const before = await foreignFile();
    const file = new MemoryBlockFile(before.slice());
    const store = await PageStore.open(file, { evenIfTrie: true });
    await store.appendMany(makeNodes(10_000, 20, 80));
    await store.allocate(1, 'v2');
    await store.update({ block: 1, slot: 0 }, text('NODE'));
    await store.finalize();
    await store.close();
    const header = FILE_HEADER.read(file.bytes);
    expect(header).toMatchObject({
      flags: 0x80,
      rootPointer: encodePointer(0, 64, 0),
      entryCount: 77n,
      imageCheckpointLsn: 88n,
    });
    const others = (bytes: Uint8Array): Uint8Array => bytes.slice(0, BLOCK_BYTES).filter((_, at) => !isOurs(at));
    expect(others(file.bytes)).toEqual(others(before));
  });

  test('a page of a file with a trie is not freed', async () => {
    const store = await PageStore.open(new MemoryBlockFile(await foreignFile()));
    await expect(store.free(1)).rejects.toMatchObject({ code: 'BLOCK_IN_USE' });
  });

  test('reserved bytes of a page header are kept by every change to the page', async () => {
    const writer = newPageWriter('v1');
    writer.block.set(goldenBytes('v1').subarray(BLOCK_BYTES, 2 * BLOCK_BYTES));
    writer.block.fill(0xab, 48, 64);
    const bytes = goldenBytes('v1').slice(0, 2 * BLOCK_BYTES);
    bytes.set(encodeFileHeader({ ...FILE_HEADER.read(bytes), blockCount: 2 }));
    bytes.set(writer.block, BLOCK_BYTES);
    const file = new MemoryBlockFile(bytes);
    const store = await PageStore.open(file);
    await store.append(text('x'));
    await store.update({ block: 1, slot: 0 }, text('HELLO WORLD'));
    await store.finalize();
    expect(file.bytes.slice(fileOffset(1, 48), fileOffset(1, 64)).every((byte) => byte === 0xab)).toBe(true);
    expect((await verifyAll(file.bytes)).summary.findings).toEqual({ info: 0, warning: 0, error: 0 });
  });
});
