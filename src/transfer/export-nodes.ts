import type { BlockFile } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import { openPageFile } from '../disk/node-block-file.ts';
import { problemError } from '../disk/refusal.ts';
import { ROOT_DESCRIPTOR, type FileHeader, type RootDescriptor } from '../format/file-header.ts';
import type { Problem } from '../format/invariants.ts';
import { BLOCK_BYTES, ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { orphanedBytes, type Page } from '../format/page.ts';
import { PAGE_FLAG } from '../format/page-header.ts';
import { rootProblems } from '../format/root-invariants.ts';
import { assertOpening } from '../store/arguments.ts';
import { soundPages } from '../store/page-reader.ts';
import { EXPORT_SCHEMA, type ExportEncoding, ExportLines } from './export-lines.ts';

/** How far an export is: told before the lines of a page. */
export interface ExportedPage {
  readonly block: number;
  /** Blocks of the file, block 0 counted. */
  readonly blocks: number;
  /** Bytes that look like nodes of which the page has no directory: they are not exported. 0 in most pages. */
  readonly orphanedBytes: number;
}

export interface ExportOptions {
  /** How the bytes of every node are written. By default they are text where that is possible, else base64. */
  readonly encoding?: ExportEncoding;
  /** Hears of each page before its lines come; what it throws ends the export. */
  readonly onPage?: (page: ExportedPage) => void | Promise<void>;
  /** Hears of a block that is a page but for 8 zero bytes at its beginning: nothing of it is exported. */
  readonly onLostPage?: (problem: Problem) => void | Promise<void>;
}

/**
 * Writes what is in a page file as JSON Lines: a line for the file, for each page and for each node, and a summary. The
 * same pages, nodes and root give the same bytes; where in its page a node stands is not told.
 * @param file - a path, or a BlockFile, which stays open
 * @returns pieces of the text, each valid until the next is asked for; a line may begin in one and end in a later one
 * @throws {@link PageStoreError} as PageStore.open to read, and the code of the first thing that is wrong with a page or the root: then the summary is missing
 * @see docs/cli.md#export
 */
export async function* exportNodes(
  file: string | BlockFile,
  options: ExportOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  assertOpening(file, 'read', undefined);
  if (typeof file !== 'string') {
    yield* exportFrom(file, options);
    return;
  }
  const opened = await openPageFile(file, 'read');
  try {
    yield* exportFrom(opened, options);
  } finally {
    await opened.close();
  }
}

async function* exportFrom(
  file: BlockFile,
  { encoding, onPage, onLostPage }: ExportOptions,
): AsyncGenerator<Uint8Array> {
  const disk = await DiskManager.open(file, 'read');
  const { blockCount } = disk.header;
  const lines = new ExportLines();
  const totals = { blocks: blockCount, pages: 0, freeBlocks: 0, nodes: 0, bytes: 0 };
  lines.add('file', {
    schema: EXPORT_SCHEMA,
    command: 'export',
    blocks: blockCount,
    ...(await rootFields(file, disk.header)),
  });
  try {
    for await (const { block, page } of soundPages(disk, onLostPage)) {
      await onPage?.({ block, blocks: blockCount, orphanedBytes: orphanedBytes(page) });
      const nodes = page.directory.count;
      if (!lines.hasRoom(0)) yield lines.take();
      lines.add('page', { block, format: page.format, finalized: isFinalized(page), nodes });
      lines.beginPage(block);
      const bytes = Buffer.from(page.block.buffer, page.block.byteOffset, BLOCK_BYTES);
      for (let slot = 0; slot < nodes; slot++) {
        const start = page.directory.nodeOffset(slot);
        const nodeBytes = page.directory.nodeBytes(slot);
        if (!lines.hasRoom(nodeBytes)) yield lines.take();
        lines.addNode(slot, bytes, start, start + nodeBytes, encoding);
        totals.bytes += nodeBytes;
      }
      totals.pages++;
      totals.nodes += nodes;
    }
  } catch (error) {
    // What came before it is sound, and its lines are whole.
    yield lines.take();
    throw error;
  }
  totals.freeBlocks = blockCount - 1 - totals.pages;
  if (!lines.hasRoom(0)) yield lines.take();
  lines.add('summary', { schema: EXPORT_SCHEMA, command: 'export', ...totals });
  yield lines.take();
}

const isFinalized = ({ header }: Page): boolean => (header.flags & PAGE_FLAG.finalized) !== 0;

/** What the trie in the file needs to be found again; nothing where there is none. Fields of 64 bits are strings. */
async function rootFields(file: BlockFile, header: Readonly<FileHeader>): Promise<object> {
  const { rootPointer, entryCount, imageCheckpointLsn, blockCount } = header;
  const lsn = imageCheckpointLsn === 0n ? {} : { imageCheckpointLsn: imageCheckpointLsn.toString() };
  if (rootPointer === 0n) return lsn;
  const start = new Uint8Array(ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  await (await CommittedView.open(file)).read(start, 0);
  for (const problem of rootProblems(header, start, blockCount)) throw problemError(file, problem);
  const { rootType, isFinal, termCount, arenaCount, rootRecord }: RootDescriptor = ROOT_DESCRIPTOR.read(
    start,
    ROOT_DESCRIPTOR_OFFSET,
  );
  return {
    rootPointer: rootPointer.toString(),
    rootDescriptor: { rootType, isFinal, termCount, arenaCount, rootRecord: rootRecord.toString() },
    entryCount: entryCount.toString(),
    ...lsn,
  };
}
