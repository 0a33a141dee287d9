import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  compact,
  create,
  createBlockFile,
  diff,
  DiskManager,
  exportNodes,
  importNodes,
  open,
  openBlockFile,
  recover,
  repair,
  stat,
  undoRepair,
  verify,
} from 'artrie-pages';
import { KeyMap } from 'artrie-pages/arena';
import { BLOCK_BYTES, decodePage, FILE_HEADER, fileOffset, nodesOf, PAGE_HEADER } from 'artrie-pages/format';
import { FaultyBlockFile, MemoryBlockFile } from 'artrie-pages/testing';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/files.ts';
import { text } from '../support/nodes.ts';

const folder = temporaryFolder();
let files = 0;

/** A path for a new file. */
const newPath = (): string => join(folder, `${files++}.part`);

/** A file of three nodes, of which one byte is damaged on request. */
async function newFile(isDamaged = false): Promise<{ path: string; memory: MemoryBlockFile }> {
  const path = newPath();
  const memory = new MemoryBlockFile();
  for (const file of [path, memory]) {
    await using store = await create(file);
    await store.appendMany(['adaptive', 'radix', 'trie'].map(text));
    await store.finalize();
  }
  if (isDamaged) {
    memory.bytes[fileOffset(1, 70)]! ^= 4;
    const file = await openBlockFile(path, 'write');
    await file.write(memory.bytes.subarray(fileOffset(1), fileOffset(2)), fileOffset(1));
    await file.close();
  }
  return { path, memory };
}

/** Reads all nodes of a file as text. */
async function nodesIn(file: string | MemoryBlockFile): Promise<string[]> {
  await using store = await open(file, { access: 'read' });
  const nodes: string[] = [];
  for await (const { bytes } of store.nodes()) nodes.push(Buffer.from(bytes).toString());
  return nodes;
}

interface Given {
  readonly source: string | FaultyBlockFile;
  readonly target: string | MemoryBlockFile;
  readonly signal?: AbortSignal;
}

const THREE = ['adaptive', 'radix', 'trie'];

/** Calls of functions that only read the source. */
const READING: readonly [name: string, call: (given: Given) => Promise<void>][] = [
  [
    'verify',
    async ({ source, signal }) => {
      const done: number[] = [];
      const report = await verify(source, {
        onProgress: (blocks) => void done.push(blocks),
        ...(signal && { signal }),
      });
      expect(report).toMatchObject({ ok: true, nodes: 3, blocks: 2 });
      expect(done.at(-1)).toBe(2);
    },
  ],
  [
    'recover',
    async ({ source, target, ...options }) => {
      const blocks: number[] = [];
      const report = await recover(source, target, { ...options, onBlock: ({ block }) => void blocks.push(block) });
      expect(report).toMatchObject({ isWhole: true, nodes: 3 });
      expect(blocks).toEqual([0, 1]);
      expect(await nodesIn(target)).toEqual(THREE);
    },
  ],
  [
    'compact',
    async ({ source, target, ...options }) => {
      const report = await compact(source, target, { ...options, pageFormat: 'v2' });
      expect(report.after).toMatchObject({ nodes: 3, pages: { v1: 0, v2: 1 } });
      expect(await nodesIn(target)).toEqual(THREE);
    },
  ],
  [
    'diff',
    async ({ source, ...options }) => {
      const other = (await newFile()).path;
      await using store = await open(other);
      await store.append(text('more'));
      const types: string[] = [];
      const report = await diff(source, other, {
        onDifference: ({ type }) => void types.push(type),
        ...(options.signal && { signal: options.signal }),
      });
      expect(report.same).toBe(false);
      expect(types).toContain('added');
    },
  ],
  [
    'exportNodes and importNodes',
    async ({ source, target, ...options }) => {
      const report = await importNodes(exportNodes(source, options), target, options);
      expect(report).toMatchObject({ refs: 'kept', nodes: 3 });
      expect(await nodesIn(target)).toEqual(THREE);
    },
  ],
  [
    'stat',
    async ({ source, signal }) => {
      const done: number[] = [];
      const statistics = await stat(source, {
        onProgress: (blocks) => void done.push(blocks),
        ...(signal && { signal }),
      });
      expect(statistics).toMatchObject({ nodes: 3, nodeBytes: 17, longestNode: 8 });
      expect(done.at(-1)).toBe(2);
    },
  ],
];

describe.each(READING)('%s', (name, call) => {
  test('takes paths', async () => {
    const { path } = await newFile();
    await call({ source: path, target: newPath() });
  });

  test('takes block files, and leaves them open', async () => {
    const source = new FaultyBlockFile((await newFile()).memory);
    await call({ source, target: new MemoryBlockFile() });
    expect(source.count('close')).toBe(0);
  });

  test('stops for an aborted signal, and leaves no target', async () => {
    const { path } = await newFile();
    const target = newPath();
    const calling = call({ source: path, target, signal: AbortSignal.abort(new Error('enough')) });
    if (name === 'verify')
      await expect(calling).rejects.toThrow('ok'); // reported, with what was checked so far
    else await expect(calling).rejects.toThrow('enough');
    expect(existsSync(target)).toBe(false);
  });
});

describe('repair', () => {
  test('fixes a file given by its path, which undoRepair undoes', async () => {
    const { path } = await newFile(true);
    expect((await verify(path)).ok).toBe(false);
    const offsets: number[] = [];
    const plan = await repair(path, { dryRun: true, onChange: ({ offset }) => void offsets.push(offset) });
    expect(plan).toMatchObject({ changes: 1, left: 0 });
    expect(offsets).toEqual([fileOffset(1, 70)]);
    expect((await verify(path)).ok).toBe(false);
    await repair(path);
    expect((await verify(path)).ok).toBe(true);
    expect(await undoRepair(path, `${path}.undo`)).toMatchObject({ changes: 1 });
    expect((await verify(path)).ok).toBe(false);
  });

  test('leaves a block file open', async () => {
    const file = new FaultyBlockFile((await newFile(true)).memory);
    const undo = new MemoryBlockFile();
    await repair(file, { undo: { create: async () => undo, remove: async () => undefined } });
    expect((await verify(file)).ok).toBe(true);
    await undoRepair(file, undo);
    expect((await verify(file)).ok).toBe(false);
    expect(file.count('close')).toBe(0);
  });
});

test('DiskManager, openBlockFile and createBlockFile give access to blocks', async () => {
  const path = newPath();
  const copy = await createBlockFile(path, false, async (file) => {
    await file.write((await newFile()).memory.bytes, 0);
    await file.sync();
  });
  await copy.close();
  const disk = await DiskManager.open(await openBlockFile(path, 'write'), 'write');
  const block = new Uint8Array(BLOCK_BYTES);
  await disk.read(1, block);
  expect(PAGE_HEADER.read(block).nodeCount).toBe(3);
  expect([...nodesOf(decodePage(block)!)].map((node) => Buffer.from(node).toString())).toEqual(THREE);
  expect(FILE_HEADER.fields.length).toBeGreaterThan(5);
  expect(disk.blockCount).toBe(2);
  await disk.close();
});

test('the keys of artrie-pages/arena are found again', () => {
  const key = text('users/17');
  expect(new KeyMap<number>().set(key, 0, key.length, 42).get(key)).toBe(42);
});
