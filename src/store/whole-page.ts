import { wrongType } from '../arguments.ts';
import { crc32 } from '../bytes/checksum.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import { problemError } from '../disk/page-file.ts';
import { ByteNodeArena } from '../format/byte-node-arena.ts';
import { BLOCK_BYTES, PAGE_HEADER_BYTES } from '../format/layout.ts';
import type { PageFormat } from '../format/page-header.ts';
import { type Page, recomputePageHeader } from '../format/page.ts';
import type { EntryCount } from './appender.ts';

/** A page that was filled in memory, as a block of a file. */
export interface WholePage {
  readonly format: PageFormat;
  /** With lost ones, as the entry count of a file has them. */
  readonly slotCount: number;
  /** What the caller's page contained, to find out whether it has changed since. */
  readonly given: Uint8Array;
  /** A copy of it, decoded. */
  readonly page: Page;
}

/**
 * Copies a page for {@link addPage}, and checks all of it.
 * @throws {@link PageStoreError} the code of the first error, or `NODES_WITHOUT_DIRECTORY`; TypeError, RangeError for no page
 */
export function wholePage(disk: DiskManager, arena: ByteNodeArena): WholePage {
  if (!(arena instanceof ByteNodeArena))
    throw wrongType('addPage: arena', 'a ByteNodeArenaV1 or ByteNodeArenaV2', arena);
  if (arena.pageBytes !== BLOCK_BYTES)
    throw new RangeError(
      `addPage: arena has ${arena.pageBytes} bytes; a PART file takes pages of ${BLOCK_BYTES} alone`,
    );
  const copy = ByteNodeArena.from(arena.bytes);
  const given = copy.bytes;
  for (const problem of copy.problems()) {
    if (problem.code === 'NODES_WITHOUT_DIRECTORY') throw problemError(disk, problem);
  }
  return { format: copy.pageFormat, slotCount: copy.slotCount, given, page: copy.page };
}

/** Makes a page part of the file, durably: in the first free block, else in a new one. @returns the block */
export async function addPage(
  disk: DiskManager,
  entryCount: EntryCount,
  { format, slotCount, page }: WholePage,
): Promise<number> {
  const nodes = (await entryCount.countsNodes()) ? slotCount : 0;
  await disk.takeUpDigest();
  const reused = await disk.takeFreeBlock(format);
  const block = reused ?? disk.blockCount;
  // A new checksum in any case: without one, recovery could not tell whether the block was written completely.
  const stored = page.block.slice();
  stored.set(recomputePageHeader(page, 0, disk.stampOf(block)));
  const head = stored.subarray(0, PAGE_HEADER_BYTES);
  if (reused !== undefined) {
    // The block is an empty page now, of which a reader takes only the header. If this fails, it stays one.
    await disk.write(block, stored.subarray(PAGE_HEADER_BYTES), PAGE_HEADER_BYTES);
    const oldHead = new Uint8Array(PAGE_HEADER_BYTES);
    await disk.read(block, oldHead);
    await disk.commit({ changed: { block, head, oldHead }, nodes });
    return block;
  }
  await disk.truncateOnFailure(() => disk.write(block, stored));
  await disk.commit({ added: { count: 1, headsCrc: crc32(head) }, nodes });
  return block;
}
