import { BLOCK_BYTES, PAGE_HEADER_BYTES, V1_SLOT_BYTES } from './layout.ts';
import { decodePage, type Page } from './page.ts';
import { checksumState } from './page-checksum.ts';
import { firstPageError } from './page-invariants.ts';

/** The page in a block under another header, where it is sound with it by its checksum: then the header stays in `block`. */
export function soundPageUnder(block: Uint8Array, blockId: number, head: Uint8Array): Page | undefined {
  const before = block.slice(0, PAGE_HEADER_BYTES);
  block.set(head);
  const page = decodePage(block);
  if (page && firstPageError(page, blockId) === undefined) {
    if (checksumState(page.format, block, page.header, page.directory) === 'match') return page;
  }
  block.set(before);
  return undefined;
}

/**
 * Whether a V1 page may have got nodes after its header was written: a slot behind the last one goes on where the nodes
 * end. Its checksum would hold all the same. A V2 page of another program is not appended to in place.
 */
export function mayHaveMoreNodes({ format, block, header }: Page): boolean {
  const { directoryStart, freeOffset } = header;
  const at = directoryStart - V1_SLOT_BYTES;
  if (format !== 'v1' || at < freeOffset) return false;
  const view = new DataView(block.buffer, block.byteOffset, BLOCK_BYTES);
  const end = freeOffset + view.getUint32(at + 4, true);
  return view.getUint32(at, true) === freeOffset && end <= at;
}
