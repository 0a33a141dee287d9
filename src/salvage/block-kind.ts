import { isZero, readBuffer } from '../bytes/buffer.ts';
import { differingBits, onlyDifferingBit } from '../bytes/checksum.ts';
import type { BlockFile } from '../disk/block-file.ts';
import type { CommittedView } from '../disk/committed-view.ts';
import { FreeListWalk } from '../disk/free-list.ts';
import { readFileHead } from '../disk/page-file.ts';
import { FILE_HEADER, type FileHeader } from '../format/file-header.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset, firstU64, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { examinePage, formatOfZeroedPage, PAGE_CHECKS, type PageFacts } from '../format/page-checks.ts';
import { encodeEmptyPageHeader, PAGE_HEADER, type PageFormat } from '../format/page-header.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';

export const NO_LINK = -1;

/**
 * What a block that does not begin with a page magic is: the block id of a link, 0 for 8 zero bytes, or one of these.
 */
const MARK = {
  unknown: 0xffff_ffff,
  unwritten: 0xffff_fffe,
  lostPage: 0xffff_fffd,
  /** Valid but for 8 zero bytes in place of the magic; a free block looks the same, so the free list decides. */
  zeroedV1: 0xffff_fffc,
  zeroedV2: 0xffff_fffb,
  /** A zeroed page that has its magic again. */
  repaired: 0xffff_fffa,
} as const;

/** The blocks that are not pages, 8 bytes of memory each, to check the free list without reading a block twice. */
export class NonPages {
  #words: Uint32Array = new Uint32Array(128);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Adds a block; blocks must come in ascending order. */
  add(id: number, mark: number): void {
    const at = 2 * this.#count++;
    if (at === this.#words.length) {
      const larger = new Uint32Array(2 * at);
      larger.set(this.#words);
      this.#words = larger;
    }
    this.#words[at] = id;
    this.#words[at + 1] = mark;
  }

  idAt(index: number): number {
    return this.#words[2 * index] as number; // 0 <= index < count, by contract
  }

  #markAt(index: number): number {
    return this.#words[2 * index + 1] as number; // 0 <= index < count, by contract
  }

  /** The block id of the link, 0 for 8 zero bytes, or NO_LINK. */
  linkAt(index: number): number {
    const mark = this.#markAt(index);
    if (mark === MARK.lostPage || mark === MARK.unknown) return NO_LINK;
    return mark < MARK.repaired ? mark : 0;
  }

  isLostPage(index: number): boolean {
    return this.#markAt(index) === MARK.lostPage;
  }

  zeroedFormatAt(index: number): PageFormat | undefined {
    const mark = this.#markAt(index);
    if (mark === MARK.zeroedV1) return 'v1';
    return mark === MARK.zeroedV2 ? 'v2' : undefined;
  }

  setRepaired(index: number): void {
    this.#words[2 * index + 1] = MARK.repaired;
  }

  isRepaired(index: number): boolean {
    return this.#markAt(index) === MARK.repaired;
  }

  isBlank(index: number): boolean {
    return this.#markAt(index) === MARK.unwritten;
  }

  /** The index of a block, or -1 if it is a page or not in the file. */
  indexOf(id: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.idAt(middle) < id) low = middle + 1;
      else high = middle;
    }
    return low < this.#count && this.idAt(low) === id ? low : -1;
  }
}

/** A block that does not begin with the magic of a page. Valid until its bytes change. */
export interface NonPage {
  readonly id: number;
  readonly mark: number;
  /** Set if only the magic of the page is damaged. */
  readonly lostPage?: LostPage | undefined;
  /** Set if 8 zero bytes replace the magic of an otherwise valid page. */
  readonly zeroedFormat?: PageFormat | undefined;
}

export interface LostPage {
  readonly found: Uint8Array;
  readonly expected: Uint8Array;
  /** The only differing bit of the block; undefined if there are more. */
  readonly flippedBit: number | undefined;
  readonly isValid: boolean;
}

/** Reads blocks into memory of its own, one at a time, and determines what each is. */
export class BlockReader {
  /** The last block, 262,144 bytes. */
  readonly bytes: Uint8Array = readBuffer(BLOCK_BYTES);
  readonly scratch: DirectoryScratch = new DirectoryScratch();
  /** Undefined if the bytes do not begin with a page magic. */
  page: PageFacts | undefined;
  #block = 0;

  /**
   * Reads a block, again while a writer changes it, until it is a valid page or begins with a link that `isLink`
   * accepts.
   * @returns the bytes of the block that the file has; the rest is zeros
   */
  async read(
    view: CommittedView,
    block: number,
    isLink: (link: number) => boolean = (link) => link !== NO_LINK,
  ): Promise<number> {
    const { bytes } = this;
    this.#block = block;
    const presentBytes = await view.readStable(block, bytes, () => {
      this.page = examinePage(bytes, block, this.scratch);
      return this.page ? this.page.error === undefined : isLink(linkOf(bytes));
    });
    if (presentBytes < BLOCK_BYTES) {
      // The file ends in this block, or was cut while it was read.
      bytes.fill(0, presentBytes);
      this.page = examinePage(bytes, block, this.scratch);
    }
    return presentBytes;
  }

  nonPage(): NonPage {
    return nonPageIn(this.bytes, this.#block, this.scratch);
  }
}

export const hasZerosAfterLink = (block: Uint8Array): boolean => isZero(block.subarray(MAGIC_BYTES, PAGE_HEADER_BYTES));

/** The block id of the link that a block begins with, or NO_LINK. */
export function linkOf(block: Uint8Array): number {
  return decodeFreeLink(firstU64(block));
}

export function nonPageIn(block: Uint8Array, id: number, scratch: DirectoryScratch): NonPage {
  const link = linkOf(block);
  if (link === NO_LINK) {
    const lostPage = lostPageIn(block, id, scratch);
    return { id, mark: lostPage ? MARK.lostPage : MARK.unknown, lostPage };
  }
  if (link > 0) return { id, mark: link };
  if (isZero(block)) return { id, mark: MARK.unwritten };
  const zeroedFormat = formatOfZeroedPage(block, id, scratch);
  return { id, mark: zeroedFormat === undefined ? 0 : ZEROED_MARK[zeroedFormat], zeroedFormat };
}

const ZEROED_MARK = { v1: MARK.zeroedV1, v2: MARK.zeroedV2 } as const;

/** With more wrong bits, only a checksum proves that a block is a page. */
const FEW_BITS = 2;

/** Not for blocks that begin with a link: libdictenstein leaves the old page in a block that it frees. */
function lostPageIn(block: Uint8Array, id: number, scratch: DirectoryScratch): LostPage | undefined {
  const found = block.slice(0, MAGIC_BYTES);
  try {
    for (const format of ['v1', 'v2'] as const) {
      const expected = encodeEmptyPageHeader(format).subarray(0, MAGIC_BYTES);
      block.set(expected);
      const facts = examinePage(block, id, scratch);
      if (facts === undefined || !isPage(facts, differingBits(found, expected))) continue;
      const bit = onlyDifferingBit(found, expected);
      return { found, expected, flippedBit: bit < 0 ? undefined : bit, isValid: facts.error === undefined };
    }
  } finally {
    block.set(found);
  }
  return undefined;
}

function isPage(facts: PageFacts, wrongMagicBits: number): boolean {
  if (facts.checksumState === 'match' || facts.checksumState === 'stale') return true;
  return wrongMagicBits <= FEW_BITS && HEADER_CHECKS.every((check) => [...check(facts)].length === 0);
}

const HEADER_CHECKS = [PAGE_CHECKS.PAGE_VERSION, PAGE_CHECKS.PAGE_FLAGS, PAGE_CHECKS.PAGE_BOUNDS];
const MAGIC_BYTES = PAGE_HEADER.bytesOf('magic');

/** The raw bytes of a page file, valid or not. */
export class RawBlocks {
  readonly file: BlockFile;
  readonly fileBytes: number;
  readonly block0: Uint8Array;
  readonly header: FileHeader;

  private constructor(file: BlockFile, fileBytes: number, block0: Uint8Array) {
    this.file = file;
    this.fileBytes = fileBytes;
    this.block0 = block0;
    this.header = FILE_HEADER.read(block0);
  }

  /** @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `IO` */
  static async open(file: BlockFile): Promise<RawBlocks> {
    const block0 = await readFileHead(file, new Uint8Array(BLOCK_BYTES));
    return new RawBlocks(file, await file.size(), block0);
  }

  /** Whole blocks in the file, block 0 included, whatever the header counts. */
  get wholeBlocks(): number {
    return Math.floor(this.fileBytes / BLOCK_BYTES);
  }

  get startedBlocks(): number {
    return Math.ceil(this.fileBytes / BLOCK_BYTES);
  }

  /** Fills the rest of `target` with zeros. @returns the bytes of the block that the file has */
  async read(block: number, target: Uint8Array): Promise<number> {
    const bytes = await this.file.read(target, fileOffset(block));
    target.fill(0, bytes);
    return bytes;
  }

  /** As far as the free list can be followed. */
  async freeList(signal?: AbortSignal): Promise<FreeListWalk> {
    const walk = new FreeListWalk(this.header.freeListHead, this.wholeBlocks);
    await walk.followIn(this.file, signal);
    return walk;
  }
}
