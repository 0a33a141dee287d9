import { crc32 } from '../bytes/checksum.ts';
import type { BlockFile } from '../disk/block-file.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import type { BlockSet } from '../disk/raw-blocks.ts';
import { PageStoreError } from '../errors.ts';
import { fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import type { Page } from '../format/page.ts';
import { PAGE_FLAG, type PageFormat, pageFormatOf } from '../format/page-header.ts';
import { PageFileBuilder } from '../store/page-file-builder.ts';
import { BlockWalk } from './block-walk.ts';
import { type MovedPage, NodePacker } from './node-packer.ts';
import { noDirectoryError } from './source-check.ts';

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
