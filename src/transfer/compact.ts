import type { BlockFile } from '../disk/block-file.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import { assertEmpty } from '../disk/new-file.ts';
import { openBlockFile } from '../disk/node-block-file.ts';
import { createBlockFile } from '../disk/node-create.ts';
import type { LockOptions } from '../disk/node-lock.ts';
import { modeLike } from '../disk/node-mode.ts';
import { assertOwnPlace } from '../disk/node-same-file.ts';
import type { PageFormat } from '../format/page-header.ts';
import { assertOpening } from '../store/arguments.ts';
import { type CompactSummary, copyNodes, type RefMapSink } from './copy-nodes.ts';
import { assertSound } from './source-check.ts';

/** How a file is compacted. The options of the lock are those of the new file, where that is a path. */
export interface CompactOptions extends LockOptions {
  /** The format of all pages of the new file; that of the source's last page by default. */
  readonly pageFormat?: PageFormat;
  /**
   * Whether of equal nodes the first alone is kept. That takes memory: a copy of each different node and 23 to 30 bytes, and
   * with `refMap` 8 more.
   */
  readonly dedupe?: boolean;
  /** Whether the new file may take the place of one that exists. */
  readonly replace?: boolean;
  /** Is told of each node where it was and where it is. */
  readonly refMap?: RefMapSink;
  /** Called after each block, with how many of how many are done. */
  readonly onProgress?: (done: number, total: number) => void | Promise<void>;
  /** Stops it between two blocks; its reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Copies all nodes of a page file into a new one, in their order: without free blocks, blocks that were never written, and
 * gaps. Each block is read once and written once; pages are in memory one at a time. The refs of nodes change.
 *
 * The source is opened for reading and not locked. A new page is finalized where all its nodes come from finalized pages.
 * @param source - a path, or a BlockFile, which stays open
 * @param target - a path: the file appears whole or not at all. Or a BlockFile, which stays open, is to be empty unless it
 * may be replaced, and is no page file where this fails
 * @throws {@link PageStoreError} the code of the first thing that is wrong with the source: nothing is copied from a damaged
 * file; `NODES_WITHOUT_DIRECTORY` for a page whose nodes would be lost, since nobody knows where each begins;
 * `FILE_HAS_TRIE` where its root pointer is set, since pointers in nodes would have to change with the refs; `FILE_CHANGED`
 * where somebody wrote to it meanwhile; `NODE_TOO_LARGE` for a node that fits no page of the new format; `FILE_EXISTS`,
 * `FILE_FULL`, `FILE_LOCKED`, `IO`; the reason of `signal`
 */
export async function compactFile(
  source: string | BlockFile,
  target: string | BlockFile,
  options: CompactOptions = {},
): Promise<CompactSummary> {
  assertOpening(source, 'read', options.pageFormat);
  assertOpening(target, 'write', options.pageFormat);
  await assertDifferent(source, target);
  const file = typeof source === 'string' ? await openBlockFile(source, 'read') : source;
  try {
    const disk = await DiskManager.open(file, 'read');
    await assertSound(disk, file);
    const mode = typeof source === 'string' && typeof target === 'string' ? await modeLike(source) : undefined;
    return await intoTarget(disk, target, { ...options, mode });
  } finally {
    if (typeof source === 'string') await file.close();
  }
}

async function intoTarget(
  disk: DiskManager,
  target: string | BlockFile,
  options: CompactOptions & { readonly mode: number | undefined },
): Promise<CompactSummary> {
  const { replace = false } = options;
  if (typeof target !== 'string') {
    await assertEmpty(target, replace);
    return copyNodes(disk, target, options);
  }
  const result: { summary?: CompactSummary } = {};
  const fill = async (file: BlockFile): Promise<void> => void (result.summary = await copyNodes(disk, file, options));
  await (await createBlockFile(target, replace, fill, options)).close();
  return result.summary as CompactSummary; // createBlockFile has called fill
}

async function assertDifferent(source: string | BlockFile, target: string | BlockFile): Promise<void> {
  if (source === target && typeof source !== 'string') throw new TypeError('source and target are one BlockFile');
  if (typeof source === 'string' && typeof target === 'string') await assertOwnPlace('the new file', target, [source]);
}
