import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { encodeFileHeader, FILE_HEADER, type FileHeader } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import {
  encodeCheckedPageHeader,
  PAGE_HEADER,
  type PageFormat,
  pageFormatOf,
  type PageHeader,
} from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { makeNodes, random } from './nodes.ts';

/** A file of ours with one page of a few nodes. */
export async function smallFile(pageFormat: PageFormat, finalized = false, nodes = 20): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  await store.appendMany(makeNodes(nodes, 0, 40));
  if (finalized) await store.finalize();
  await store.close();
  return file.bytes.slice();
}

/** A copy of the bytes with something changed in it. */
export function damaged(bytes: Uint8Array, change: (copy: Uint8Array, view: DataView) => void): Uint8Array {
  const copy = bytes.slice();
  change(copy, new DataView(copy.buffer));
  return copy;
}

/** A copy with other fields in its file header, whose checksum is made to fit. */
export function withHeader(bytes: Uint8Array, change: Partial<FileHeader>): Uint8Array {
  return damaged(bytes, (copy) => copy.set(encodeFileHeader({ ...FILE_HEADER.read(copy), ...change })));
}

/** A copy with other fields in the header of one page, whose checksum is left as it was. */
export function withPageHeader(bytes: Uint8Array, block: number, change: Partial<PageHeader>): Uint8Array {
  return damaged(bytes, (copy) =>
    PAGE_HEADER.write({ ...PAGE_HEADER.read(copy, fileOffset(block)), ...change }, copy, fileOffset(block)),
  );
}

/** A copy with more bytes at its end. */
export function lengthened(bytes: Uint8Array, by: number): Uint8Array {
  const longer = new Uint8Array(bytes.length + by);
  longer.set(bytes);
  return longer;
}

/** The bytes of a block that a page's headers and checksum cover. */
export function committedBytes(bytes: Uint8Array, block: number): number[] {
  const header = PAGE_HEADER.read(bytes, fileOffset(block));
  const v2 = (header.flags & 1) !== 0;
  const directoryEnd = v2 ? header.directoryStart + header.directoryLength : BLOCK_BYTES;
  const range = (start: number, end: number): number[] =>
    Array.from({ length: end - start }, (_, index) => start + index);
  return [...range(0, header.freeOffset), ...range(header.directoryStart, directoryEnd)];
}

/** A file of six blocks: page, free, free, free, page, page; free list 2, 4, 3. */
export async function fileWithFreeList(): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  await store.allocate(5, 'v1');
  for (const block of [3, 4, 2]) await store.free(block);
  await store.close();
  return file.bytes.slice();
}

/** A copy of a page as one of another block. */
export function pageOf(home: number, page: Uint8Array): Uint8Array {
  const format = pageFormatOf(page);
  if (format === undefined) throw new TypeError('not a page');
  return damaged(page, (copy) => copy.set(encodeCheckedPageHeader(format, copy, { ...PAGE_HEADER.read(copy), home })));
}

/** A file of two blocks; 12 KiB of the directory of its page are zeros. */
export async function fileWithHole(pageFormat: PageFormat): Promise<Uint8Array> {
  const bytes = await smallFile(pageFormat, true, pageFormat === 'v1' ? 4000 : 8000);
  const { directoryStart } = PAGE_HEADER.read(bytes, fileOffset(1));
  return damaged(bytes, (copy) =>
    copy.fill(0, fileOffset(1, directoryStart + 1000), fileOffset(1, directoryStart + 1000 + 12 * 1024)),
  );
}

/** A file of two blocks whose page has 32,000 slots of random offsets and lengths. */
export async function fileWithHostileDirectory(): Promise<Uint8Array> {
  const slots = 32_000;
  const next = random(7);
  return damaged(await smallFile('v1', true), (copy, view) => {
    const page = fileOffset(1);
    const directoryStart = BLOCK_BYTES - 8 * slots;
    const header = { ...PAGE_HEADER.read(copy, page), nodeCount: slots, freeOffset: directoryStart, directoryStart };
    PAGE_HEADER.write(header, copy, page);
    for (let slot = 0; slot < slots; slot++) {
      // Half of them overlap others, and half are outside the node area, never two in a row.
      const offset = slot % 2 === 0 ? 64 + Math.floor(next() * 4000) : 200_000;
      view.setUint32(page + BLOCK_BYTES - 8 * (slot + 1), offset, true);
      view.setUint32(page + BLOCK_BYTES - 8 * (slot + 1) + 4, 1 + Math.floor(next() * 1000), true);
    }
  });
}
