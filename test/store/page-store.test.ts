import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { decodePage } from '../../src/format/page.ts';
import { type PageFormat } from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { hexOf, makeNodes, text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { specNodes } from '../support/spec-reader.ts';
import { brief, verifyAll } from '../support/verify.ts';

test('a reused block gets no bytes of another page, not even in the gaps of a V2 page', async () => {
  const { store } = await newStore('v2');
  const other = new Uint8Array(262_065).fill(0xaa);
  await store.appendMany(Array.from({ length: 5 }, () => other)); // a page each
  await store.free(2);
  await store.disk.write(2, new Uint8Array(BLOCK_BYTES - 64), 64); // what the block had itself does not count
  const [run] = await store.appendMany(Array.from({ length: 500 }, () => new Uint8Array(4).fill(0x55)));
  // Nodes that step over a committed directory.
  for (let more = 0; more < 2; more++) await store.append(new Uint8Array(100_000).fill(0x55));
  expect(run?.block).toBe(2);
  const { block, header } = await store.readPage(2);
  expect(header.nodeCount).toBe(502);
  expect(block.subarray(64, header.freeOffset).includes(0xaa)).toBe(false);
});

const FORMATS: PageFormat[] = ['v1', 'v2'];

async function newStore(pageFormat: PageFormat): Promise<{ file: RecordingBlockFile; store: PageStore }> {
  const file = new RecordingBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  file.operations = [];
  return { file, store };
}

describe.each(FORMATS)('appending to a %s file', (format) => {
  test('continues in the open page after reopening, and in a new one of the same format when it is full', async () => {
    const { file, store } = await newStore(format);
    expect(await store.append(text('a'))).toEqual({ block: 1, slot: 0 });
    await store.close();
    const again = await PageStore.open(file);
    expect(await again.append(text('b'))).toEqual({ block: 1, slot: 1 });
    expect(await again.append(new Uint8Array(261_992))).toEqual({ block: 2, slot: 0 });
    expect(decodePage(file.bytes.slice(fileOffset(2)))!.format).toBe(format);
    expect((await again.append(text('c'))).block).toBe(2);
  });

  test('writes the node, its slot, a record and two headers, and syncs once, whatever the page holds', async () => {
    const { file, store } = await newStore(format);
    await store.appendMany(makeNodes(2000, 64, 64));
    await store.append(new Uint8Array(64));
    file.operations = [];
    await store.append(new Uint8Array(64).fill(1));
    expect(file.count('sync')).toBe(1);
    const bytes = file.operations.reduce((sum, step) => sum + (step.kind === 'write' ? step.bytes.length : 0), 0);
    // The record with its digest, the page header, and the file header with root descriptor and digest.
    expect(bytes).toBe(64 + (format === 'v1' ? 8 : 5) + 172 + 20 + 64 + 128);
    expect(file.count('read')).toBe(0);
  });

  test('syncs once for a batch, whatever its size', async () => {
    const { file, store } = await newStore(format);
    await store.appendMany(makeNodes(20_000, 40, 60));
    expect(file.count('sync')).toBe(1);
    expect(file.bytes.length).toBeGreaterThan(4 * BLOCK_BYTES);
  });

  test('that fails on a full disk leaves the file unchanged, and works again once there is space', async () => {
    const { file, store } = await newStore(format);
    await store.append(text('kept'));
    const before = specNodes(file.bytes);
    file.failOn = (step) => (step.kind === 'write' && step.position >= fileOffset(2) ? 'ENOSPC' : undefined);
    await expect(store.appendMany(makeNodes(20_000, 40, 60))).rejects.toMatchObject({ detail: { errno: 'ENOSPC' } });
    expect(specNodes(file.bytes)).toEqual(before);
    expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual([]);
    file.failOn = () => undefined;
    expect(await store.append(text('next'))).toEqual({ block: 1, slot: 1 });
    expect(specNodes(file.bytes).map((node) => node.bytes.toString())).toEqual(['kept', 'next']);
  });

  test('refuses a node that is too large for a page, names the limit, and appends none of the others', async () => {
    const { file, store } = await newStore(format);
    const most = format === 'v1' ? 262_008 : 262_075;
    const nodes = [text('a'), new Uint8Array(most + 1)];
    await expect(store.appendMany(nodes)).rejects.toThrow(`at most ${most}`);
    await expect(store.appendMany(nodes)).rejects.toMatchObject({ code: 'NODE_TOO_LARGE' });
    expect(specNodes(file.bytes)).toEqual([]);
    expect(await store.append(new Uint8Array(most))).toEqual({ block: 1, slot: 0 });
  });

  test('overlapping calls run one after the other, each with its own refs', async () => {
    const { file, store } = await newStore(format);
    const nodes = makeNodes(50, 1, 30);
    const refs = await Promise.all(nodes.map((node) => store.append(node)));
    expect(new Set(refs.map((ref) => ref.slot)).size).toBe(50);
    const bySpec = specNodes(file.bytes);
    for (const [index, ref] of refs.entries()) expect(hexOf(bySpec[ref.slot]!.bytes)).toBe(hexOf(nodes[index]!));
  });

  test('fills open pages and takes free blocks before the file grows', async () => {
    const { file, store } = await newStore(format);
    await store.allocate(3, format);
    await store.free(2);
    await store.free(3);
    const runs = await store.appendMany(Array.from({ length: 4 }, (_, index) => new Uint8Array(200_000).fill(index)));
    expect(runs.map((run) => run.block)).toEqual([4, 1, 3, 2]);
    expect(file.bytes.length).toBe(5 * BLOCK_BYTES);
    expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual([]);
  });
});

test.each(FORMATS)(
  'room that was made in a %s file and not used does not count as a page of the file',
  async (format) => {
    const { file, store } = await newStore(format);
    await store.makeRoom(10);
    while (store.stage(new Uint8Array(40_000)));
    expect(await store.makeRoom(40_000)).toEqual([]);
    expect(await store.commit()).toEqual([{ block: 1, slot: 0, count: 6 }]);
    expect(file.bytes.length).toBe(2 * BLOCK_BYTES);
    expect(store.stage(text('next'))).toBe(true);
    expect(await store.commit()).toEqual([{ block: 2, slot: 0, count: 1 }]);
    await store.close();
    expect(specNodes(file.bytes).map((node) => node.ref)).toEqual(['1:0', '1:1', '1:2', '1:3', '1:4', '1:5', '2:0']);
    expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual([]);
  },
);

describe('damage that an append finds', () => {
  test('in the last page is an error of the append', async () => {
    const { file, store } = await newStore('v1');
    await store.append(text('node'));
    await store.close();
    file.bytes[fileOffset(1, 64)]! ^= 1;
    const again = await PageStore.open(file);
    await expect(again.append(text('next'))).rejects.toMatchObject({ code: 'PAGE_CHECKSUM', detail: { block: 1 } });
  });

  test('in an earlier page does not prevent appending to new ones', async () => {
    const { file, store } = await newStore('v1');
    await store.append(text('node'));
    await store.allocate(1, 'v1');
    await store.close();
    file.bytes[fileOffset(1, 64)]! ^= 1;
    const again = await PageStore.open(file);
    const runs = await again.appendMany(makeNodes(10_000, 40, 60));
    expect(runs.map((run) => run.block)).toEqual([2, 3, 4]);
  });

  test('in the free list is reported after the refs of what was durable before', async () => {
    const { file, store } = await newStore('v1');
    await store.allocate(1, 'v1');
    await store.free(2);
    await store.close();
    new DataView(file.bytes.buffer).setBigUint64(fileOffset(2), 77n, true);
    const again = await PageStore.open(file);
    const node = new Uint8Array(50_000);
    while (!again.stage(node) && again.stagedNodes === 0) expect(await again.makeRoom(node.length)).toEqual([]);
    while (again.stage(node));
    expect(await again.makeRoom(node.length)).toEqual([{ block: 1, slot: 0, count: 5 }]);
    await expect(again.makeRoom(node.length)).rejects.toMatchObject({ code: 'FREE_LIST_LINK' });
    expect((await again.read({ block: 1, slot: 4 })).length).toBe(50_000);
  });

  test('is not searched for in full pages: their last bytes are not worth a commit each', async () => {
    const { file, store } = await newStore('v1');
    await store.appendMany(makeNodes(40_000, 40, 600));
    await store.close();
    const again = await PageStore.open(file);
    file.operations = [];
    const runs = await again.appendMany(makeNodes(2000, 1, 600));
    expect(runs.length).toBeLessThan(5);
    expect(file.count('sync')).toBeLessThanOrEqual(2);
  });
});
