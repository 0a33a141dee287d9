import type { BlockFile } from '../disk/block-file.ts';
import { assertEmpty } from '../disk/file-head.ts';
import { PageStoreError } from '../errors.ts';
import { FILE_HEADER, FILE_MAGIC } from '../format/file-header.ts';
import { BLOCK_BYTES, fileOffset, NODE_AREA_OFFSET, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { pageFormatOf } from '../format/page-header.ts';
import { FileRecovery } from './file-recovery.ts';
import { findHeader, type FoundHeader } from './header-source.ts';
import { PageRecovery } from './page-recovery.ts';
import type { RecoverOptions, RecoverSink, RecoverSummary } from './recovery-report.ts';
import { SlotTable } from '../salvage/slot-table.ts';

/**
 * Writes every node that can still be read of a page file, damaged as it may be, into a new one: at its ref wherever that
 * can be. The source is only read, one block at a time. The new file has no error that verify would find.
 *
 * Pages without error are copied. Of the others the nodes whose bounds hold are put into new pages, with an empty node
 * where one is lost, and sealed; a page of which nothing is left becomes an empty sealed one. So no node that comes later
 * gets the ref of a lost one; where the file ends before blocks that it counts, that holds for as many as there still are,
 * or 16. Nodes that have no room at their refs go to pages behind the last block.
 * @param source - read as its last commit left it: commit records and the journal are applied in memory
 * @param target - empty; a file that has to be there whole or not at all comes from {@link createBlockFile}
 * @param report - called for each block in order, and then for the nodes that moved
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE` where nothing in the source is of a page file, `FILE_EXISTS` for a target
 * that is not empty, `FILE_FULL`, `IO`; the reason of the signal
 */
export async function recoverFile(
  source: BlockFile,
  target: BlockFile,
  report: RecoverSink,
  options: RecoverOptions = {},
): Promise<RecoverSummary> {
  await assertEmpty(target, false);
  return FileRecovery.run(await findPageFile(source, options.signal), target, report, options);
}

/**
 * Refuses what is no page file, before anything is made for it.
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `IO`; the reason of the signal
 */
export async function assertPageFile(source: BlockFile, signal?: AbortSignal): Promise<void> {
  await findPageFile(source, signal);
}

async function findPageFile(source: BlockFile, signal: AbortSignal | undefined): Promise<FoundHeader> {
  const found = await findHeader(source, signal);
  if (found.source === 'lost' && !(await isPageFile(found, signal))) {
    const rest = 'no commit record, no copy of the header, and no block that is a page';
    const hasMagic = FILE_HEADER.read(found.head).magic === FILE_MAGIC;
    const message = hasMagic
      ? `nothing to recover: the file begins with the magic of a page file, and its header is damaged; there is ${rest}`
      : `not a page file: there is no file header, ${rest}`;
    throw new PageStoreError('NOT_A_PAGE_FILE', message, { file: source.name });
  }
  return found;
}

/** Blocks that are searched for pages without a magic, where no block has one. */
const BLOCKS_TO_SEARCH = 64;

/** Whether a file without any file header is a page file all the same, by its blocks. */
async function isPageFile({ view, fileBytes }: FoundHeader, signal: AbortSignal | undefined): Promise<boolean> {
  const blocks = Math.ceil(fileBytes / BLOCK_BYTES);
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  for (let block = 1; block < blocks; block++) {
    if ((block & 0xff) === 0) signal?.throwIfAborted();
    head.fill(0, await view.read(head, fileOffset(block)));
    if (pageFormatOf(head) !== undefined) return true;
  }
  const bytes = new Uint8Array(BLOCK_BYTES);
  const slots = new SlotTable();
  const pages = new PageRecovery();
  for (let block = 1; block < Math.min(blocks, BLOCKS_TO_SEARCH); block++) {
    signal?.throwIfAborted();
    const presentBytes = await view.read(bytes, fileOffset(block));
    bytes.fill(0, presentBytes);
    const fate = pages.recover(
      bytes,
      { block, presentBytes, records: [], lastIsCommitted: false, isRecorded: false },
      slots,
    );
    // One empty node could stand in any bytes.
    if (fate && slots.count > 0 && slots.nodeOffset(slots.count - 1) > NODE_AREA_OFFSET) return true;
  }
  return false;
}
