import type { ByteRange } from './directory.ts';
import { type Page, sealPageHeader } from './page.ts';
import { PAGE_FLAG } from './page-header.ts';

/** What seals a page: a header, and the range of the block that has to be written before it. */
export interface PageSeal {
  readonly head: Uint8Array;
  readonly written?: ByteRange;
}

/** The header of a page with a checksum over what it holds now, and these flags as well as those it has. */
export function resealedHead({ format, block, header, directory }: Page, flags = 0): Uint8Array {
  const directoryLength = format === 'v2' ? directory.end - directory.start : 0;
  return sealPageHeader(format, block, { ...header, flags: header.flags | flags, directoryLength });
}

/**
 * Seals a page without problems, in memory. A V2 directory is put straight after the nodes where it does not
 * overlap the one that the committed header names; else it stays where it is.
 */
export function sealPage(page: Page): PageSeal {
  const { format, block, header, directory } = page;
  const bytes = directory.end - directory.start;
  const start = header.freeOffset;
  if (format === 'v1' || start + bytes > directory.start) return { head: resealedHead(page, PAGE_FLAG.finalized) };
  block.copyWithin(start, directory.start, directory.end);
  const flags = header.flags | PAGE_FLAG.finalized;
  const head = sealPageHeader(format, block, { ...header, flags, directoryStart: start, directoryLength: bytes });
  return { head, written: { start, end: start + bytes } };
}
