import { assertOneOf, assertPathOrBlockFile, checkOptions } from '../arguments.ts';
import { equalRange } from '../bytes/buffer.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { withPageFile } from '../disk/node-block-file.ts';
import { NODE_AREA_OFFSET } from '../format/layout.ts';
import { isLostEntry } from '../format/slots.ts';
import { isFinalized } from '../format/page-header.ts';
import { orphanedBytes, type Page } from '../format/page.ts';
import type { BlockContent } from './block-walk.ts';
import {
  type BlockDifference,
  ComparedFile,
  type Difference,
  type DifferenceCounts,
  DifferenceLog,
} from './difference.ts';

export interface DiffOptions {
  /** `places`, the default: nodes with the same refs. `nodes`: the sequences of nodes, whatever their refs. */
  readonly compare?: 'places' | 'nodes';
  /** Whether to stop at the first difference. */
  readonly stopAtFirst?: boolean;
  /** Called for each difference, in order. What it throws ends the comparison. */
  readonly onDifference?: (difference: Difference) => void | Promise<void>;
  /** Called after each block of either file. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops between two blocks; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/** The result of {@link diff}. */
export interface DiffReport {
  /** No difference and no damage. */
  readonly same: boolean;
  /** By type; `damaged` counts what could not be compared. */
  readonly differences: Readonly<DifferenceCounts>;
  /** Compared nodes. */
  readonly nodes: { readonly a: number; readonly b: number };
  /** False if damage ended the comparison of sequences, so no later node is reported. Always true for `places`. */
  readonly sequencesCompared: boolean;
  /** Whether a file was committed to meanwhile: then the result is not of a single moment. */
  readonly changed: boolean;
}

/**
 * Compares two page files. `places` compares the fields of the file header, the blocks, and the nodes by their refs.
 * `nodes` ignores header and pages: without the added and removed nodes, both files have the same nodes in the same
 * order. Long runs of differences may have a shorter description than the reported one.
 *
 * Free space and the order of the free list are not compared. Damage is reported as `damaged` instead of being
 * compared; after the last block, so are pages that the digest proves to be lost. Memory does not grow with the files.
 * @param a - a path, or a BlockFile, which stays open
 * @throws {@link PageStoreError} as PageStore.open for reading; the reason of `signal`
 */
export async function diff(
  a: string | BlockFile,
  b: string | BlockFile,
  options: DiffOptions = {},
): Promise<DiffReport> {
  assertPathOrBlockFile('diff', 'a', a);
  assertPathOrBlockFile('diff', 'b', b);
  checkOptions('diff', options, {
    compare: 'any',
    stopAtFirst: 'boolean',
    onDifference: 'function',
    onProgress: 'function',
    signal: 'signal',
  });
  assertOneOf('diff', 'options.compare', options.compare, ['places', 'nodes']);
  return withPageFile(a, 'read', (fileA) => withPageFile(b, 'read', (fileB) => diffFiles(fileA, fileB, options)));
}

async function diffFiles(fileA: BlockFile, fileB: BlockFile, options: DiffOptions): Promise<DiffReport> {
  const { compare = 'places', stopAtFirst = false, onDifference, onProgress, signal } = options;
  const log = new DifferenceLog(onDifference, stopAtFirst);
  const a = await ComparedFile.open('a', fileA, signal);
  const b = await ComparedFile.open('b', fileB, signal);
  for (const file of [a, b]) for (const error of file.errors) await log.addDamage(file, error);
  const total = a.disk.blockCount + b.disk.blockCount;
  const onBlock = async (): Promise<void> => {
    signal?.throwIfAborted();
    await onProgress?.(a.block + b.block + 2, total);
  };
  try {
    if (compare === 'places') {
      await diffHeaders(a, b, log);
      await diffBlocks(a, b, log, onBlock);
    } else {
      log.ignoresNodes = !a.isWhole || !b.isWhole;
      const { diffNodes } = await import('./diff-nodes.ts'); // the larger part, and not the default
      await diffNodes(a, b, log, onBlock);
    }
    for (const file of log.isStopped ? [] : [a, b]) {
      const error = await file.missingPages();
      if (error) await log.addDamage(file, error);
    }
  } finally {
    await a.end();
    await b.end();
  }
  const changed = [await a.disk.refresh(), await b.disk.refresh()].includes(true);
  const same = Object.values(log.counts).every((count) => count === 0);
  const sequencesCompared = !log.ignoresNodes;
  return { same, differences: log.counts, nodes: { a: a.nodes, b: b.nodes }, changed, sequencesCompared };
}

async function diffHeaders(a: ComparedFile, b: ComparedFile, log: DifferenceLog): Promise<void> {
  const [inA, inB] = [await a.fields(), await b.fields()];
  for (const field of Object.keys({ ...inA, ...inB })) {
    const [valueA, valueB] = [String(inA[field] ?? 'none'), String(inB[field] ?? 'none')];
    if (valueA === valueB || (field === 'entryCount' && (a.isUncounted || b.isUncounted))) continue;
    await log.add({ type: 'header', field, a: valueA, b: valueB });
  }
}

async function diffBlocks(
  a: ComparedFile,
  b: ComparedFile,
  log: DifferenceLog,
  onBlock: () => Promise<void>,
): Promise<void> {
  const blockCount = Math.max(a.disk.blockCount, b.disk.blockCount);
  for (let block = 1; block < blockCount && !log.isStopped; block++) {
    const [inA, inB] = await Promise.all([a.next(), b.next()]);
    if (inA?.kind === 'damaged') await log.addDamage(a, inA.error);
    if (inB?.kind === 'damaged') await log.addDamage(b, inB.error);
    // A lost block was reported as damage; its possible nodes are not reported.
    const isLost = (inA === undefined && a.hasLost(block)) || (inB === undefined && b.hasLost(block));
    if (inA?.kind !== 'damaged' && inB?.kind !== 'damaged' && !isLost) await diffBlock(block, inA, inB, log, [a, b]);
    await onBlock();
  }
}

async function diffBlock(
  block: number,
  inA: BlockContent | undefined,
  inB: BlockContent | undefined,
  log: DifferenceLog,
  [a, b]: readonly [ComparedFile, ComparedFile],
): Promise<void> {
  const pageA = inA?.kind === 'page' ? inA.page : undefined;
  const pageB = inB?.kind === 'page' ? inB.page : undefined;
  a.nodes += pageA?.directory.count ?? 0;
  b.nodes += pageB?.directory.count ?? 0;
  await diffField(log, block, 'content', inA?.kind ?? 'absent', inB?.kind ?? 'absent');
  if (pageA && pageB) {
    // Most pages are identical.
    if (Buffer.compare(pageA.block, pageB.block) === 0) return;
    await diffField(log, block, 'format', pageA.format, pageB.format);
    await diffField(log, block, 'finalized', yesOrNo(isFinalized(pageA.header)), yesOrNo(isFinalized(pageB.header)));
    await diffOrphans(log, block, pageA, pageB);
    await diffSlots(log, block, pageA, pageB);
  }
  const common = pageA && pageB ? Math.min(pageA.directory.count, pageB.directory.count) : 0;
  if (pageA) await addNodes('removed', block, pageA, common, log);
  if (pageB) await addNodes('added', block, pageB, common, log);
}

async function diffField(
  log: DifferenceLog,
  block: number,
  field: BlockDifference['field'],
  a: string,
  b: string,
): Promise<void> {
  if (a !== b) await log.add({ type: 'block', block, field, a, b });
}

const yesOrNo = (value: boolean): string => (value ? 'yes' : 'no');

/** Compares node bytes without a directory. */
async function diffOrphans(log: DifferenceLog, block: number, pageA: Page, pageB: Page): Promise<void> {
  const [a, b] = [orphanedBytes(pageA), orphanedBytes(pageB)];
  if (a === b && equalRange(pageA.block, NODE_AREA_OFFSET, pageB.block, NODE_AREA_OFFSET, a)) return;
  await log.add({ type: 'block', block, field: 'orphanedBytes', a: `${a}`, b: `${b}` });
}

async function diffSlots(log: DifferenceLog, block: number, pageA: Page, pageB: Page): Promise<void> {
  const { directory: inA, block: bytesA } = pageA;
  const { directory: inB, block: bytesB } = pageB;
  const common = Math.min(inA.count, inB.count);
  for (let slot = 0; slot < common && !log.isStopped; slot++) {
    const [aBytes, bBytes] = [inA.nodeBytes(slot), inB.nodeBytes(slot)];
    const [aStart, bStart] = [inA.nodeOffset(slot), inB.nodeOffset(slot)];
    const [isLostInA, isLostInB] = [isLostEntry(inA, slot), isLostEntry(inB, slot)];
    if (isLostInA || isLostInB) {
      if (isLostInA === isLostInB) continue;
      const only = log.add({ type: isLostInA ? 'added' : 'removed', block, slot, bytes: isLostInA ? bBytes : aBytes });
      if (only) await only;
      continue;
    }
    if (aBytes === bBytes && equalRange(bytesA, aStart, bytesB, bStart, aBytes)) continue;
    let firstByte = 0;
    while (firstByte < aBytes && firstByte < bBytes && bytesA[aStart + firstByte] === bytesB[bStart + firstByte])
      firstByte++;
    const added = log.add({ type: 'changed', block, slot, aBytes, bBytes, firstByte });
    if (added) await added;
  }
}

async function addNodes(
  type: 'added' | 'removed',
  block: number,
  { directory }: Page,
  from: number,
  log: DifferenceLog,
): Promise<void> {
  for (let slot = from; slot < directory.count && !log.isStopped; slot++) {
    if (isLostEntry(directory, slot)) continue;
    const added = log.add({ type, block, slot, bytes: directory.nodeBytes(slot) });
    if (added) await added;
  }
}
