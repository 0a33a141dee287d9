/** The link of a block whose first eight bytes are no link. */
export const NO_LINK = 0xffff_ffff;

/** Stands for the link of a block that is zero throughout. */
const BLANK = 0xffff_fffe;

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

  /** Blocks are added in ascending order of their ids. @param link - a block id, 0 for the end, or NO_LINK */
  add(id: number, link: number, blank: boolean): void {
    if (this.#count === this.#ids.length) {
      this.#ids = doubled(this.#ids);
      this.#links = doubled(this.#links);
    }
    this.#ids[this.#count] = id;
    this.#links[this.#count] = blank ? BLANK : link;
    this.#count++;
  }

  idAt(index: number): number {
    return this.#ids[index] as number; // 0 <= index < count, by contract
  }

  linkAt(index: number): number {
    const link = this.#links[index] as number; // 0 <= index < count, by contract
    return link === BLANK ? 0 : link;
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
