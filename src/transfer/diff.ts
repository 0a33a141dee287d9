import { equalRange } from '../bytes/buffer.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { openBlockFile } from '../disk/node-block-file.ts';
import { NODE_AREA_OFFSET } from '../format/layout.ts';
import { PAGE_FLAG } from '../format/page-header.ts';
import { orphanedBytes, type Page } from '../format/page.ts';
import { assertOpening } from '../store/arguments.ts';
import type { BlockContent } from './block-walk.ts';
import { diffNodes } from './diff-nodes.ts';
import {
  type BlockDifference,
  ComparedFile,
  type DifferenceCounts,
  DifferenceLog,
  type DifferenceSink,
  diffHeaders,
} from './difference.ts';

/** Compares two files block by block, and their pages slot by slot. */
export async function diffPages(
  a: ComparedFile,
  b: ComparedFile,
  log: DifferenceLog,
  onBlock: () => Promise<void>,
): Promise<void> {
  const blockCount = Math.max(a.walk.blockCount, b.walk.blockCount);
  for (let block = 1; block < blockCount && !log.isStopped; block++) {
    const [inA, inB] = await Promise.all([a.walk.next(), b.walk.next()]);
    if (inA?.kind === 'damaged') await log.damaged('a', inA.error);
    if (inB?.kind === 'damaged') await log.damaged('b', inB.error);
    // Of a block that a file has lost, the loss is told once, and not the nodes that it may have had.
    const lost = (inA === undefined && a.hasLost(block)) || (inB === undefined && b.hasLost(block));
    if (inA?.kind !== 'damaged' && inB?.kind !== 'damaged' && !lost) await diffBlock(block, inA, inB, log, [a, b]);
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
  const contentA = inA?.kind ?? 'absent';
  const contentB = inB?.kind ?? 'absent';
  if (contentA !== contentB) await log.add({ type: 'block', block, field: 'content', a: contentA, b: contentB });
  if (pageA && pageB) {
    // Most pages of most files that are compared are the same to the last byte.
    if (Buffer.compare(pageA.block, pageB.block) === 0) return;
    await diffPageHeads(block, pageA, pageB, log);
    await diffSlots(block, pageA, pageB, log);
  }
  const common = pageA && pageB ? Math.min(pageA.directory.count, pageB.directory.count) : 0;
  if (pageA) await tellNodes('removed', block, pageA, common, log);
  if (pageB) await tellNodes('added', block, pageB, common, log);
}

async function diffPageHeads(block: number, pageA: Page, pageB: Page, log: DifferenceLog): Promise<void> {
  const tell = async (field: BlockDifference['field'], a: string, b: string): Promise<void> => {
    if (a !== b) await log.add({ type: 'block', block, field, a, b });
  };
  await tell('format', pageA.format, pageB.format);
  await tell('finalized', isFinalized(pageA), isFinalized(pageB));
  const [orphansA, orphansB] = [orphanedBytes(pageA), orphanedBytes(pageB)];
  if (orphansA === 0 && orphansB === 0) return;
  const same =
    orphansA === orphansB && equalRange(pageA.block, NODE_AREA_OFFSET, pageB.block, NODE_AREA_OFFSET, orphansA);
  if (!same) await log.add({ type: 'block', block, field: 'orphanedBytes', a: `${orphansA}`, b: `${orphansB}` });
}

const isFinalized = ({ header }: Page): string => ((header.flags & PAGE_FLAG.finalized) === 0 ? 'no' : 'yes');

async function diffSlots(block: number, pageA: Page, pageB: Page, log: DifferenceLog): Promise<void> {
  const { directory: inA, block: bytesA } = pageA;
  const { directory: inB, block: bytesB } = pageB;
  const common = Math.min(inA.count, inB.count);
  for (let slot = 0; slot < common && !log.isStopped; slot++) {
    const [aBytes, bBytes] = [inA.nodeBytes(slot), inB.nodeBytes(slot)];
    const [aStart, bStart] = [inA.nodeOffset(slot), inB.nodeOffset(slot)];
    if (aBytes === bBytes && equalRange(bytesA, aStart, bytesB, bStart, aBytes)) continue;
    let firstByte = 0;
    while (firstByte < aBytes && firstByte < bBytes && bytesA[aStart + firstByte] === bytesB[bStart + firstByte])
      firstByte++;
    const told = log.add({ type: 'changed', block, slot, aBytes, bBytes, firstByte });
    if (told) await told;
  }
}

async function tellNodes(
  type: 'added' | 'removed',
  block: number,
  page: Page,
  from: number,
  log: DifferenceLog,
): Promise<void> {
  const { directory } = page;
  for (let slot = from; slot < directory.count && !log.isStopped; slot++) {
    const told = log.add({ type, block, slot, bytes: directory.nodeBytes(slot) });
    if (told) await told;
  }
}

/** How two files are compared. */
export interface DiffOptions {
  /** `places` by default: the same slots of the same blocks. `nodes`: the sequences of their nodes, wherever they are. */
  readonly compare?: 'places' | 'nodes';
  /** Whether the first difference is enough. */
  readonly stopAtFirst?: boolean;
  /** Called after each block of each file, with how many of how many are done. */
  readonly onProgress?: (done: number, total: number) => void | Promise<void>;
  /** Stops it between two blocks; its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** What has come of comparing two files. */
export interface DiffSummary {
  /** Whether no difference was found, and no damage. */
  readonly same: boolean;
  /** How many differences of each type; `damaged` is what could not be compared. */
  readonly differences: Readonly<DifferenceCounts>;
  /** Nodes that were looked at in the first file, and in the second. */
  readonly nodes: { readonly a: number; readonly b: number };
  /**
   * False where damage ended the comparison of sequences of nodes, since nobody knows which nodes are missing: behind it no
   * node is told as added or removed. Always true by places.
   */
  readonly sequencesCompared: boolean;
  /** Whether somebody committed to one of the files meanwhile: then this is of no single moment. */
  readonly changed: boolean;
}

/**
 * Compares two page files and tells each difference, in order. By places, that is each field of the file header, each
 * block, and each node by its ref. By nodes, the header and the pages do not matter: a node is added or removed, so that
 * those which neither is come in the same order in both files. Of long runs of differences there may be shorter accounts
 * than the one that is given; that there is none is said only of equal sequences.
 *
 * Free space and the order of the free list do not count. What is damaged is told as `damaged` and compared no further.
 * Memory does not grow with the files.
 * @param a - a path, or a BlockFile, which stays open
 * @throws {@link PageStoreError} as a reader that opens the files; the reason of `signal`; what `report` throws
 */
export async function diffFiles(
  a: string | BlockFile,
  b: string | BlockFile,
  report: DifferenceSink,
  options: DiffOptions = {},
): Promise<DiffSummary> {
  assertOpening(a, 'read', undefined);
  assertOpening(b, 'read', undefined);
  return withFile(a, (first) => withFile(b, (second) => diffOpen(first, second, report, options)));
}

async function withFile<T>(file: string | BlockFile, work: (file: BlockFile) => Promise<T>): Promise<T> {
  if (typeof file !== 'string') return work(file);
  const opened = await openBlockFile(file, 'read');
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

async function diffOpen(
  fileA: BlockFile,
  fileB: BlockFile,
  report: DifferenceSink,
  options: DiffOptions,
): Promise<DiffSummary> {
  const { compare = 'places', stopAtFirst = false, onProgress, signal } = options;
  const log = new DifferenceLog(report, stopAtFirst);
  const a = await ComparedFile.open(fileA);
  const b = await ComparedFile.open(fileB);
  for (const error of a.errors) await log.damaged('a', error);
  for (const error of b.errors) await log.damaged('b', error);
  const total = a.walk.blockCount + b.walk.blockCount;
  const onBlock = async (): Promise<void> => {
    signal?.throwIfAborted();
    await onProgress?.(a.walk.block + b.walk.block + 2, total);
  };
  try {
    if (compare === 'places') {
      await diffHeaders(a, b, log);
      await diffPages(a, b, log, onBlock);
    } else {
      if (!a.isWhole || !b.isWhole) log.muteSequences();
      await diffNodes(a, b, log, onBlock);
    }
  } finally {
    await a.walk.end();
    await b.walk.end();
  }
  const changed = [await a.disk.refresh(), await b.disk.refresh()].includes(true);
  const same = Object.values(log.counts).every((count) => count === 0);
  return { same, differences: log.counts, nodes: { a: a.nodes, b: b.nodes }, changed, sequencesCompared: !log.isMuted };
}
