/** Node types that a pointer of a byte trie can carry: ART nodes by their size (0 is Node256), and the bucket. */
export const NODE_TYPES: readonly number[] = [0, 1, 4, 16, 48];

/** A pointer, taken apart. */
export interface Pointer {
  /** Set only in memory, by a program that runs: never valid in a file. */
  readonly inMemory: boolean;
  readonly block: number;
  /** Slot of a node; the byte offset of the root descriptor in block 0. */
  readonly slot: number;
  readonly nodeType: number;
}

/** @see docs/format.md, "Pointers" */
export function decodePointer(pointer: bigint): Pointer {
  return {
    inMemory: pointer >> 63n !== 0n,
    block: Number((pointer >> 40n) & 0x7f_ffffn),
    slot: Number((pointer >> 18n) & 0x3f_ffffn),
    nodeType: Number(pointer & 0x3_ffffn),
  };
}

/** @throws RangeError where a part does not fit: 23 bits of block, 22 of slot, 18 of node type */
export function encodePointer(block: number, slot: number, nodeType: number): bigint {
  if (block >= 2 ** 23 || slot >= 2 ** 22 || nodeType >= 2 ** 18) {
    throw new RangeError(`no pointer reaches block ${block}, slot ${slot}, node type ${nodeType}`);
  }
  return (BigInt(block) << 40n) | (BigInt(slot) << 18n) | BigInt(nodeType);
}

/** A link of the free list: the next block's id, or 0 at the end. */
export function encodeFreeLink(block: number): bigint {
  return BigInt(block) << 40n;
}

/** The block id that a link of the free list holds, 0 at the end, or -1 for a number that is no link. */
export function decodeFreeLink(link: bigint): number {
  return (link & 0xff_ffff_ffffn) === 0n ? Number(link >> 40n) : -1;
}
