import { expect } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { compact, type CompactOptions, type CompactReport } from '../../src/transfer/compact.ts';
import type { MovedPage } from '../../src/transfer/node-packer.ts';
import { diff, type DiffOptions, type DiffReport } from '../../src/transfer/diff.ts';
import type { Difference } from '../../src/transfer/difference.ts';
import { specNodes } from './spec-reader.ts';

export const FORMATS: readonly PageFormat[] = ['v1', 'v2'];

export interface Compacted {
  readonly bytes: Uint8Array;
  readonly report: CompactReport;
  /** New ref of each old one. */
  readonly refs: Map<string, string>;
}

export async function compacted(source: Uint8Array, options: CompactOptions = {}): Promise<Compacted> {
  const target = new MemoryBlockFile();
  const refs = new Map<string, string>();
  const onMoved = ({ block, count, newBlocks, newSlots }: MovedPage): void => {
    for (let slot = 0; slot < count; slot++) refs.set(`${block}:${slot}`, `${newBlocks[slot]}:${newSlots[slot]}`);
  };
  const report = await compact(new MemoryBlockFile(source), target, { onMoved, ...options });
  return { bytes: target.bytes.slice(), report, refs };
}

/** A file whose nodes came in batches, each committed by itself, in pages of the format that the batch says. */
export async function fileOfBatches(
  batches: readonly { nodes: readonly Uint8Array[]; pageFormat: PageFormat }[],
): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  await (await PageStore.create(file, { pageFormat: batches[0]?.pageFormat ?? 'v1' })).close();
  for (const { nodes, pageFormat } of batches) {
    const store = await PageStore.open(file, { pageFormat });
    await store.appendMany(nodes);
    await store.close();
  }
  return file.bytes.slice();
}

/** The bytes of all nodes in their order. */
export const sequence = (file: Uint8Array): string[] => specNodes(file).map(({ bytes }) => bytes.toString('latin1'));

/** Expects that the map leads from each node of a file to the same bytes in another. */
export function expectRefs(source: Uint8Array, target: Uint8Array, refs: ReadonlyMap<string, string>): void {
  const after = new Map(specNodes(target).map(({ ref, bytes }) => [ref, bytes.toString('latin1')]));
  const before = specNodes(source);
  expect(refs.size).toBe(before.length);
  const wrong = before.filter(({ ref, bytes }) => after.get(refs.get(ref) ?? '') !== bytes.toString('latin1'));
  expect(wrong.map(({ ref }) => ref)).toEqual([]);
}

export interface Diffed {
  readonly differences: Difference[];
  readonly report: DiffReport;
}

export async function diffed(a: Uint8Array, b: Uint8Array, options?: DiffOptions): Promise<Diffed> {
  const differences: Difference[] = [];
  const onDifference = (difference: Difference): void => void differences.push(difference);
  const report = await diff(new MemoryBlockFile(a), new MemoryBlockFile(b), { onDifference, ...options });
  return { differences, report };
}

export async function fileOf(nodes: readonly Uint8Array[], pageFormat: PageFormat = 'v1'): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  await store.appendMany(nodes);
  await store.close();
  return file.bytes.slice();
}

/** A copy of a file on which something was done. */
export async function changed(bytes: Uint8Array, work: (store: PageStore) => Promise<unknown>): Promise<Uint8Array> {
  const file = new MemoryBlockFile(bytes.slice());
  const store = await PageStore.open(file);
  await work(store);
  await store.close();
  return file.bytes.slice();
}
