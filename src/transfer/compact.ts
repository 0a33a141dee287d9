import { assertOneOf, assertPath, assertPathOrBlockFile, checkOptions } from '../arguments.ts';
import { crc32 } from '../bytes/checksum.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import type { BlockSet } from '../disk/free-list.ts';
import { withPageFile } from '../disk/node-block-file.ts';
import { fillNewFile } from '../disk/node-create.ts';
import { assertNoPathConflict } from '../disk/node-fs.ts';
import { LOCK_OPTION_KINDS, type LockOptions } from '../disk/node-lock.ts';
import { replacePageFile } from '../disk/node-replace.ts';
import { betweenBlocks, type LongWork } from '../disk/long-work.ts';
import { assertUsableHeader, assertWritableFile } from '../disk/page-file.ts';
import { PageStoreError } from '../errors.ts';
import { fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { isFinalized, type PageFormat, pageFormatOf } from '../format/page-header.ts';
import type { Page } from '../format/page.ts';
import { lastPageFormat } from '../store/appender.ts';
import { FullScan } from '../store/full-scan.ts';
import { PageFileBuilder } from '../store/page-file-builder.ts';
import { noDirectoryError, walkBlocks } from './block-walk.ts';
import { type MovedPage, NodePacker } from './node-packer.ts';

export interface FileCounts {
  readonly bytes: number;
  /** Including block 0. */
  readonly blocks: number;
  readonly pages: Readonly<Record<PageFormat, number>>;
  readonly finalizedPages: number;
  readonly nodes: number;
  readonly freeBlocks: number;
  readonly unwrittenBlocks: number;
  /** Bytes of page headers, nodes and directories. */
  readonly usedBytes: number;
}

/** The result of {@link compact}. */
export interface CompactReport {
  readonly pageFormat: PageFormat;
  readonly before: FileCounts;
  readonly after: FileCounts;
  /** Nodes left out because of an equal one before them; 0 without `dedupe`. */
  readonly duplicateNodes: number;
  /** Slots of the source whose nodes were lost before; they are left out. */
  readonly lostSlots: number;
}

/** The lock options are for the file. */
export interface CompactInPlaceOptions extends LockOptions {
  /** Of all pages of the target. Default: that of the last page of the source. */
  readonly pageFormat?: PageFormat;
  /** Keeps only the first of equal nodes. Memory: each different node and 23 to 30 bytes, 8 more with `onMoved`. */
  readonly dedupe?: boolean;
  /** Called for each page with nodes, in order. An error that it throws ends the compaction. */
  readonly onMoved?: (moved: MovedPage) => void | Promise<void>;
  /** Called when the target is durable, before it appears at its path. An error that it throws discards the target. */
  readonly onDurable?: () => void | Promise<void>;
  /** Called when the target has its name. An error that it throws undoes that, and a replaced file is back. */
  readonly onPublished?: () => void | Promise<void>;
  /** Called after each block of the source. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops between two blocks; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/** The lock options are for the target, if it is a path. */
export interface CompactOptions extends CompactInPlaceOptions {
  /** Whether to replace a target that exists. */
  readonly replace?: boolean;
}

const OPTION_KINDS = {
  ...LOCK_OPTION_KINDS,
  pageFormat: 'any',
  dedupe: 'boolean',
  onMoved: 'function',
  onDurable: 'function',
  onPublished: 'function',
  onProgress: 'function',
  signal: 'signal',
} as const;

/**
 * Copies all nodes of a page file into a new one, in order, without free blocks, unwritten blocks and gaps. Refs
 * change. Reads and writes each block once, without a lock on the source; one page of each file is in memory. A new
 * page is finalized if all its nodes come from finalized pages.
 * @param source - a path, or a BlockFile, which stays open
 * @param target - a path, where the file appears complete or not at all; or an empty BlockFile, which stays open and is
 * not a page file if this throws
 * @throws {@link PageStoreError} the code of the first error in the source; `PAGES_DIGEST`, `FILE_HEADER_OLD` or
 * `BLOCK_UNWRITTEN` if pages of it are lost, as `PageStore.pages`; `NODES_WITHOUT_DIRECTORY` for a V2 page
 * that was never finalized; `FILE_HAS_TRIE`; `FILE_CHANGED` if the source was written to meanwhile; `NODE_TOO_LARGE`
 * for a node that fits no page of the new format; `FILE_EXISTS`, `FILE_FULL`, `FILE_LOCKED`, `IO`; the reason of
 * `signal`
 */
export async function compact(
  source: string | BlockFile,
  target: string | BlockFile,
  options: CompactOptions = {},
): Promise<CompactReport> {
  assertPathOrBlockFile('compact', 'source', source);
  assertPathOrBlockFile('compact', 'target', target);
  checkOptions('compact', options, { ...OPTION_KINDS, replace: 'boolean' });
  assertOneOf('compact', 'options.pageFormat', options.pageFormat, ['v1', 'v2']);
  if (source === target && typeof source !== 'string')
    throw new TypeError('compact: source and target must be different BlockFiles');
  const isCopyOfPath = typeof source === 'string' && typeof target === 'string';
  if (isCopyOfPath) await assertNoPathConflict('the new file', target, [source]);
  return withPageFile(source, 'read', async (file) => {
    const disk = await DiskManager.open(file, 'read', { signal: options.signal });
    await assertCompactable(disk, file, workOf(options));
    const copy = (into: BlockFile): Promise<CompactReport> => copyNodes(disk, into, options);
    return fillNewFile(target, options.replace ?? false, copy, {
      ...options,
      copyOf: isCopyOfPath ? source : undefined,
    });
  });
}

/**
 * As {@link compact}, but the new file replaces `path`, under the writer lock of the file: no commit is lost between the
 * copy and the renaming. Permissions and owner stay; other hard links of the file keep the old content. Readers that
 * have the file open keep the old one. The file stays as it was if this throws.
 * @throws {@link PageStoreError} as {@link compact}; `FILE_REPLACED` if another program has replaced the file meanwhile
 */
export async function compactInPlace(path: string, options: CompactInPlaceOptions = {}): Promise<CompactReport> {
  assertPath('compactInPlace', 'path', path);
  checkOptions('compactInPlace', options, OPTION_KINDS);
  assertOneOf('compactInPlace', 'options.pageFormat', options.pageFormat, ['v1', 'v2']);
  const copy = async (old: BlockFile, file: BlockFile): Promise<CompactReport> => {
    const disk = await DiskManager.open(old, 'read', { signal: options.signal });
    await assertCompactable(disk, old, workOf(options));
    return copyNodes(disk, file, options);
  };
  return replacePageFile(path, copy, { ...options, work: workOf(options) });
}

const workOf = ({ signal, onProgress }: CompactInPlaceOptions): LongWork => ({ signal, onProgress });

/** Refuses a file whose content would not be complete in the copy. */
async function assertCompactable(disk: DiskManager, file: BlockFile, work: LongWork): Promise<void> {
  // A reader accepts a wrong block count, but the copy is meant to replace the file.
  assertUsableHeader(file, disk.header, 'write');
  await assertWritableFile(file, disk.header, await file.size(), work);
  if (disk.header.rootPointer === 0n) return;
  const message =
    'the file holds a trie (its root pointer is set): compacting moves nodes, and this version cannot rewrite the pointers to them';
  throw new PageStoreError('FILE_HAS_TRIE', message, { file: disk.name });
}

async function copyNodes(disk: DiskManager, target: BlockFile, options: CompactOptions): Promise<CompactReport> {
  const { dedupe = false, onMoved, onDurable, onProgress, signal } = options;
  const { blocks: free, error } = await disk.freeBlocks();
  if (error) throw await changedOr(disk, error);
  const pageFormat = options.pageFormat ?? (await lastPageFormat(disk, disk.blockCount, workOf(options)));
  const builder = await PageFileBuilder.begin(target, signal);
  // Loaded only when needed: most copies keep every node.
  const known = dedupe ? new (await import('../store/dedupe.ts')).DistinctNodes() : undefined;
  const packer = new NodePacker(builder, pageFormat, { file: disk.name, known, onMoved });
  const before = newCounts(disk.blockCount, free.size);
  let headersCrc = 0;
  const scan = new FullScan(disk);
  for await (const content of walkBlocks(disk, free, scan)) {
    signal?.throwIfAborted();
    if (content.kind === 'damaged') throw await changedOr(disk, content.error);
    if (content.kind === 'unwritten') before.unwrittenBlocks++;
    if (content.kind === 'page') {
      const error = noDirectoryError(disk, content);
      if (error) throw error;
      countPage(before, content.page);
      headersCrc = crc32(content.page.block.subarray(0, PAGE_HEADER_BYTES), headersCrc);
      await packer.add(content);
    }
    await onProgress?.(content.block + 1, disk.blockCount);
  }
  await packer.end();
  await assertUnchanged(disk, free, headersCrc, signal);
  await scan.end();
  await builder.finish();
  await onDurable?.();
  const { block: blocks, freeBlocks, nodes, usedBytes } = builder;
  const { finalizedPages, duplicateNodes, lostSlots } = packer;
  const pages = { v1: 0, v2: 0, [pageFormat]: blocks - 1 };
  const after = { ...newCounts(blocks, freeBlocks), pages, finalizedPages, nodes, usedBytes };
  return { pageFormat, before: { ...before, nodes: before.nodes - lostSlots }, after, duplicateNodes, lostSlots };
}

const newCounts = (blocks: number, freeBlocks: number) => ({
  bytes: fileOffset(blocks),
  blocks,
  pages: { v1: 0, v2: 0 },
  finalizedPages: 0,
  nodes: 0,
  freeBlocks,
  unwrittenBlocks: 0,
  usedBytes: 0,
});

function countPage(counts: ReturnType<typeof newCounts>, { directory, format, header }: Page): void {
  counts.pages[format]++;
  if (isFinalized(header)) counts.finalizedPages++;
  counts.nodes += directory.count;
  counts.usedBytes += PAGE_HEADER_BYTES + directory.end - directory.start;
  for (let slot = 0; slot < directory.count; slot++) counts.usedBytes += directory.nodeBytes(slot);
}

/**
 * Refuses the copy if the file changed: it could have a later change and lack an earlier one. A commit changes block 0;
 * any other write changes the header of its page.
 */
async function assertUnchanged(
  disk: DiskManager,
  free: BlockSet,
  headersCrc: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const header = new Uint8Array(PAGE_HEADER_BYTES);
  let crc = 0;
  for (let block = 1; block < disk.blockCount; block++) {
    const pause = betweenBlocks(block, disk.blockCount, { signal });
    if (pause) await pause;
    if (free.has(block)) continue;
    await disk.read(block, header);
    if (pageFormatOf(header) !== undefined) crc = crc32(header, crc);
  }
  if (crc !== headersCrc || (await disk.refresh())) throw changedError(disk);
}

/** Damage may be a page that a writer was changing. */
async function changedOr(disk: DiskManager, error: PageStoreError): Promise<PageStoreError> {
  return (await disk.refresh()) ? changedError(disk) : error;
}

function changedError(disk: DiskManager): PageStoreError {
  const message =
    'the file was written to while it was read, so nothing was copied; try again when no writer is active';
  return new PageStoreError('FILE_CHANGED', message, { file: disk.name });
}
