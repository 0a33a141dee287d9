import { crc32 } from '../bytes/checksum.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import { assertEmpty } from '../disk/file-head.ts';
import type { BlockSet } from '../disk/free-list.ts';
import { openBlockFile } from '../disk/node-block-file.ts';
import { createBlockFile } from '../disk/node-create.ts';
import { assertOwnPlace, modeLike } from '../disk/node-fs.ts';
import type { LockOptions } from '../disk/node-lock.ts';
import { PageStoreError } from '../errors.ts';
import { fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { PAGE_FLAG, type PageFormat, pageFormatOf } from '../format/page-header.ts';
import type { Page } from '../format/page.ts';
import { assertOpening } from '../store/arguments.ts';
import { PageFileBuilder } from '../store/page-file-builder.ts';
import { assertSound, BlockWalk, noDirectoryError } from './block-walk.ts';
import { type MovedPage, NodePacker } from './node-packer.ts';

/** What a file holds, in figures. */
export interface FileFigures {
  readonly bytes: number;
  /** All blocks, block 0 counted. */
  readonly blocks: number;
  readonly pages: Readonly<Record<PageFormat, number>>;
  readonly finalizedPages: number;
  readonly nodes: number;
  readonly freeBlocks: number;
  readonly unwrittenBlocks: number;
  /** Bytes of headers, nodes and directories in the pages; the rest of them is free. */
  readonly usedBytes: number;
}

/** What has come of compacting a file. */
export interface CompactSummary {
  readonly pageFormat: PageFormat;
  readonly before: FileFigures;
  readonly after: FileFigures;
  /** Nodes that were left out, since an equal one came before them; 0 without `dedupe`. */
  readonly duplicateNodes: number;
}

/** Is told where nodes have gone. What it throws ends the compaction. */
export interface RefMapSink {
  /** Called for each page with nodes, in the order of blocks. */
  page(moved: MovedPage): void | Promise<void>;
  /** Called when all nodes have been told of and the new file is durable, before it has its name. */
  end?(): void | Promise<void>;
}

interface CopyOptions {
  readonly pageFormat?: PageFormat;
  readonly dedupe?: boolean;
  readonly refMap?: RefMapSink;
  readonly onProgress?: (done: number, total: number) => void | Promise<void>;
  readonly signal?: AbortSignal;
}

/** Copies all nodes of a sound file. @param target - empty */
export async function copyNodes(disk: DiskManager, target: BlockFile, options: CopyOptions): Promise<CompactSummary> {
  const { dedupe = false, refMap, onProgress, signal } = options;
  const { blocks: free, error } = await disk.freeBlocks();
  if (error) throw await changedOr(disk, error);
  const pageFormat = options.pageFormat ?? (await lastFormat(disk, free));
  const builder = await PageFileBuilder.begin(target);
  const packer = new NodePacker(builder, pageFormat, { dedupe, tellsRefs: refMap !== undefined });
  const found = new Found();
  const walk = new BlockWalk(disk, free);
  try {
    for (let content = await walk.next(); content !== undefined; content = await walk.next()) {
      signal?.throwIfAborted();
      const { block } = walk;
      if (content.kind === 'damaged') throw await changedOr(disk, content.error);
      if (content.kind === 'page') {
        const error = noDirectoryError(disk, content.page, block);
        if (error) throw error;
        found.add(content.page);
        await packer.add(content.page, block, disk.name);
        const { count } = content.page.directory;
        if (count > 0) await refMap?.page(packer.moved(block, count));
      } else if (content.kind === 'unwritten') found.unwrittenBlocks++;
      await onProgress?.(block + 1, disk.blockCount);
    }
  } finally {
    await walk.end();
  }
  await packer.end();
  await assertUnchanged(disk, free, found.headsSum, signal);
  await finish(builder, disk);
  await refMap?.end?.();
  const pages = builder.block - 1;
  return {
    pageFormat,
    before: found.figures(disk, free.size),
    after: {
      bytes: fileOffset(builder.block),
      blocks: builder.block,
      pages: { v1: pageFormat === 'v1' ? pages : 0, v2: pageFormat === 'v2' ? pages : 0 },
      finalizedPages: packer.finalizedPages,
      nodes: builder.nodes,
      freeBlocks: builder.freeBlocks,
      unwrittenBlocks: 0,
      usedBytes: builder.usedBytes,
    },
    duplicateNodes: packer.duplicateNodes,
  };
}

/** Counts what the source holds, and sums up the headers of its pages. */
class Found {
  unwrittenBlocks = 0;
  /** CRC-32 of the headers of all pages, one after the other. */
  headsSum = 0;
  readonly #pages = { v1: 0, v2: 0 };
  #finalizedPages = 0;
  #nodes = 0;
  #usedBytes = 0;

  add({ block, directory, format, header }: Page): void {
    this.headsSum = crc32(block.subarray(0, PAGE_HEADER_BYTES), this.headsSum);
    this.#pages[format]++;
    if ((header.flags & PAGE_FLAG.finalized) !== 0) this.#finalizedPages++;
    this.#nodes += directory.count;
    this.#usedBytes += PAGE_HEADER_BYTES + directory.end - directory.start;
    for (let slot = 0; slot < directory.count; slot++) this.#usedBytes += directory.nodeBytes(slot);
  }

  figures(disk: DiskManager, freeBlocks: number): FileFigures {
    return {
      bytes: fileOffset(disk.blockCount),
      blocks: disk.blockCount,
      pages: { ...this.#pages },
      finalizedPages: this.#finalizedPages,
      nodes: this.#nodes,
      freeBlocks,
      unwrittenBlocks: this.unwrittenBlocks,
      usedBytes: this.#usedBytes,
    };
  }
}

/** The format of the last page, however many blocks are behind it; v1 where there is none, as for a new file. */
async function lastFormat(disk: DiskManager, free: BlockSet): Promise<PageFormat> {
  const magic = new Uint8Array(8);
  for (let block = disk.blockCount - 1; block >= 1; block--) {
    if (free.has(block)) continue;
    await disk.read(block, magic);
    const format = pageFormatOf(magic);
    if (format) return format;
  }
  return 'v1';
}

/**
 * Refuses a copy of a file that changed while it was copied: it could have one change and not another that came before
 * it. Commits show in block 0. What changes a page without one, an update in place or another program, changes its
 * header, so all of them are looked at again: since each is as it was when its page was read, there was a moment
 * at which the file was what has been copied.
 */
async function assertUnchanged(
  disk: DiskManager,
  free: BlockSet,
  headsSum: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  let sum = 0;
  for (let block = 1; block < disk.blockCount; block++) {
    signal?.throwIfAborted();
    if (free.has(block)) continue;
    await disk.read(block, head);
    if (pageFormatOf(head) !== undefined) sum = crc32(head, sum);
  }
  if (sum !== headsSum || (await disk.refresh())) throw changed(disk);
}

/** Damage that is met while a writer is at work may be none. */
async function changedOr(disk: DiskManager, error: PageStoreError): Promise<PageStoreError> {
  return (await disk.refresh()) ? changed(disk) : error;
}

function changed(disk: DiskManager): PageStoreError {
  const message =
    'the file was written to while it was read: nothing was made of it; run this again when no writer is at work';
  return new PageStoreError('FILE_CHANGED', message, { file: disk.name });
}

async function finish(builder: PageFileBuilder, disk: DiskManager): Promise<void> {
  const { imageCheckpointLsn } = disk.header;
  const rootDescriptor = { rootType: 0, isFinal: 0, termCount: 0, arenaCount: 0, rootRecord: 0n };
  await builder.finish(builder.block, {
    rootPointer: 0n,
    rootDescriptor,
    entryCount: BigInt(builder.nodes),
    imageCheckpointLsn,
  });
}

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
