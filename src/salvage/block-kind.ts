import { differingBits, onlyDifferingBit } from '../bytes/flipped-bit.ts';
import { type FileHeader, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { BLOCK_BYTES, decodeFreeLink, decodePointer, fileOffset, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { firstError, formatUnderZeros, PAGE_CHECKS, PageFacts } from '../format/page-checks.ts';
import { PAGE_HEADER, PAGE_MAGIC, PAGE_VERSION, type PageFormat } from '../format/page-header.ts';
import { decodePage, emptyPageHead } from '../format/page.ts';
import { hex, type Problem } from '../format/problem.ts';
import type { DirectoryScratch } from '../format/v2-directory.ts';

/** The link of a block whose first eight bytes are no link. */
export const NO_LINK = 0xffff_ffff;

/** Stands for the link of a block that is zero throughout. */
export const BLANK = 0xffff_fffe;

/** Stands for the link of a block that is a page but for its magic. */
export const LOST_PAGE = 0xffff_fffd;

/** Stands for the link of a block that is a page but for its magic, which is zero: or a free block, where the list leads to it. */
export const ZEROED_V1 = 0xffff_fffc;
export const ZEROED_V2 = 0xffff_fffb;

/** Stands for the link of a block that was such a page and has its magic again. */
const MENDED = 0xffff_fffa;

/**
 * The blocks that are no pages, with the link that each begins with: what the free list is checked against
 * without reading a block twice. Eight bytes a block.
 */
export class OtherBlocks {
  #ids: Uint32Array = new Uint32Array(64);
  #links: Uint32Array = new Uint32Array(64);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Blocks are added in ascending order of their ids. @param link - a block id, 0 for the end, NO_LINK, or what stands for one */
  add(id: number, link: number): void {
    if (this.#count === this.#ids.length) {
      this.#ids = doubled(this.#ids);
      this.#links = doubled(this.#links);
    }
    this.#ids[this.#count] = id;
    this.#links[this.#count] = link;
    this.#count++;
  }

  idAt(index: number): number {
    return this.#ids[index] as number; // 0 <= index < count, by contract
  }

  linkAt(index: number): number {
    const link = this.#links[index] as number; // 0 <= index < count, by contract
    if (link === LOST_PAGE) return NO_LINK;
    return link < MENDED || link === NO_LINK ? link : 0;
  }

  /** Whether the block is a page but for its magic. */
  isLostPage(index: number): boolean {
    return this.#links[index] === LOST_PAGE;
  }

  /** The format of the page that the block is but for 8 zero bytes at its beginning, if it is one. */
  zeroedFormatAt(index: number): PageFormat | undefined {
    const link = this.#links[index];
    if (link === ZEROED_V1) return 'v1';
    return link === ZEROED_V2 ? 'v2' : undefined;
  }

  /** Notes that a block has the magic of a page again. */
  setMended(index: number): void {
    this.#links[index] = MENDED;
  }

  isMended(index: number): boolean {
    return this.#links[index] === MENDED;
  }

  /** Whether every byte of the block is zero. */
  isBlank(index: number): boolean {
    return this.#links[index] === BLANK;
  }

  /** The index of a block, or -1 where it is a page or not in the file. */
  indexOf(id: number): number {
    let low = 0;
    let high = this.#count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.idAt(middle);
      if (found === id) return middle;
      if (found < id) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}

function doubled(array: Uint32Array): Uint32Array {
  const larger = new Uint32Array(2 * array.length);
  larger.set(array);
  return larger;
}

/** A block that does not begin with the magic of a page. Valid until its bytes change. */
export interface OtherBlock {
  readonly id: number;
  /** Which page it is but for the magic, if it is one. */
  readonly lostPage: LostPage | undefined;
}

/** A page whose magic is damaged. */
export interface LostPage {
  readonly found: Uint8Array;
  readonly expected: Uint8Array;
  /** The bit of the block that differs, where it is one alone. */
  readonly flippedBit: number | undefined;
  /** Whether nothing else is wrong with the page. */
  readonly isSound: boolean;
}

/** More damaged bits than this, and only a checksum can say that a block is a page. */
const FEW_BITS = 2;

/** @param block - the 262,144 bytes of a block whose first eight are no magic; they are what they were when it returns */
export function lookAtOther(block: Uint8Array, id: number, scratch: DirectoryScratch): OtherBlock {
  return { id, lostPage: linkOf(block) === NO_LINK ? lostPageIn(block, id, scratch) : undefined };
}

/** The link that a block begins with, or NO_LINK. */
export function linkOf(block: Uint8Array): number {
  const target = decodeFreeLink(new DataView(block.buffer, block.byteOffset, 8).getBigUint64(0, true));
  return target < 0 ? NO_LINK : target;
}

const BLANK_BLOCK = Buffer.alloc(BLOCK_BYTES);

/** What OtherBlocks takes for the link of a block. */
export function markOf(block: Uint8Array, { id, lostPage }: OtherBlock, scratch: DirectoryScratch): number {
  if (lostPage) return LOST_PAGE;
  const link = linkOf(block);
  if (link !== 0) return link;
  if (BLANK_BLOCK.equals(block)) return BLANK;
  const format = formatUnderZeros(block, id, scratch);
  if (format === undefined) return 0;
  return format === 'v1' ? ZEROED_V1 : ZEROED_V2;
}

/** A freed block may hold the page that it was: it begins with a link, and is not asked about here. */
function lostPageIn(block: Uint8Array, id: number, scratch: DirectoryScratch): LostPage | undefined {
  const found = block.slice(0, MAGIC_BYTES);
  try {
    for (const format of ['v1', 'v2'] as const) {
      const expected = magicBytes(format);
      block.set(expected);
      const page = decodePage(block, scratch);
      const facts = page && new PageFacts(page, id);
      if (facts === undefined || !isPage(facts, differingBits(found, expected))) continue;
      const bit = onlyDifferingBit(found, expected);
      return { found, expected, flippedBit: bit < 0 ? undefined : bit, isSound: firstError(facts) === undefined };
    }
  } finally {
    block.set(found);
  }
  return undefined;
}

/** Whether what follows the magic is that of a page. @param wrongBits - how many bits of the magic are not its */
function isPage(facts: PageFacts, wrongBits: number): boolean {
  if (facts.checksumState === 'match' || facts.checksumState === 'stale') return true;
  return wrongBits <= FEW_BITS && HEADER_CHECKS.every((check) => [...check(facts)].length === 0);
}

const HEADER_CHECKS = [PAGE_CHECKS.PAGE_VERSION, PAGE_CHECKS.PAGE_FLAGS, PAGE_CHECKS.PAGE_BOUNDS];

const MAGIC_BYTES = PAGE_HEADER.bytesOf('magic');

function magicBytes(format: PageFormat): Uint8Array {
  return emptyPageHead(format).subarray(0, MAGIC_BYTES);
}

/** What is said of a block that is no page, and of which a commit record has a page header. @param head - the bytes that it begins with */
export function lostPageProblem(block: number, head: Uint8Array): Problem {
  const found = hex(new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true), 16);
  return {
    code: 'BLOCK_UNKNOWN',
    severity: 'error',
    block,
    offset: fileOffset(block),
    bytes: BLOCK_BYTES,
    found,
    expected: 'the page header that a commit record has',
    message: `block ${block} begins with ${found}, and a commit record says that it is a page: its header is lost`,
  };
}

const OTHER: Readonly<Record<PageFormat, PageFormat>> = { v1: 'v2', v2: 'v1' };

/**
 * The page under the magic of the other format, where it has errors under its own and is sound so: its checksum holds, or
 * it has none and there is nothing else to say against it. Version and flags tell the formats apart as well, so by chance
 * 32 bits have to agree.
 * @param scratch - may hold the directory that `facts` has
 * @returns the page with its magic put right in `facts.page.block`; undefined with nothing changed where there is none
 */
export function underOtherMagic({ page, blockId }: PageFacts, scratch: DirectoryScratch): PageFacts | undefined {
  const { block, format, header } = page;
  const other = OTHER[format];
  // A V1 directory is read where it stands, so the scratch is that of one of the two alone.
  if (header.version !== PAGE_VERSION[other]) return undefined;
  PAGE_HEADER.set('magic', PAGE_MAGIC[other], block);
  const mended = decodePage(block, scratch);
  const facts = mended && new PageFacts(mended, blockId);
  if (facts && firstError(facts) === undefined && isVouchedFor(facts)) return facts;
  PAGE_HEADER.set('magic', header.magic, block);
  return undefined;
}

function isVouchedFor(facts: PageFacts): boolean {
  return facts.hasChecksum || [...PAGE_CHECKS.NODES_WITHOUT_DIRECTORY(facts)].length === 0;
}

/** Where the root record of a trie should be. */
export interface RootPlace {
  readonly block: number;
  readonly slot: number;
}

/** Where a sound root descriptor says that the root record is. @param wholeBlocks - blocks that the file has */
export function rootPlaceOf(header: FileHeader, block0: Uint8Array, wholeBlocks: number): RootPlace | undefined {
  const descriptor = decodePointer(header.rootPointer);
  if (header.rootPointer === 0n || descriptor.block !== 0 || descriptor.slot !== ROOT_DESCRIPTOR_OFFSET)
    return undefined;
  const { rootType, rootRecord } = ROOT_DESCRIPTOR.read(block0, ROOT_DESCRIPTOR_OFFSET);
  const { block, slot, inMemory } = decodePointer(rootRecord);
  return rootType === 0 || inMemory || block === 0 || block >= wholeBlocks ? undefined : { block, slot };
}
