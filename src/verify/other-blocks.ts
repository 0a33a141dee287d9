import type { PageFormat } from '../format/page-header.ts';

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
