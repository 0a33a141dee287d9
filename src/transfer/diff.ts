import type { BlockFile } from '../disk/block-file.ts';
import { openBlockFile } from '../disk/node-block-file.ts';
import { assertOpening } from '../store/arguments.ts';
import { ComparedFile, diffHeaders } from './compared-file.ts';
import { diffNodes } from './diff-nodes.ts';
import { diffPages } from './diff-pages.ts';
import { type DifferenceCounts, DifferenceLog, type DifferenceSink } from './difference.ts';

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
