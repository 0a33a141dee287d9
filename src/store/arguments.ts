import { assertByteRange } from '../bytes/buffer.ts';
import type { BlockFile } from '../disk/block-file.ts';
import type { Access } from '../disk/node-block-file.ts';
import type { PageFormat } from '../format/page-header.ts';
import type { PageRef } from './page-ref.ts';

// What TypeScript checks for those who use it, checked once more: a node that is no byte string would be stored as
// other bytes, and acknowledged.

/** @throws TypeError for what is not bytes; Buffers are */
export function assertBytes(node: unknown): asserts node is Uint8Array {
  if (!(node instanceof Uint8Array)) throw new TypeError('a node is a Uint8Array; encode text with TextEncoder');
}

/** A length is kept in 32 bits; no page holds a node that comes near it. */
const MAX_LENGTH = 0xffff_ffff;

/**
 * The lengths of nodes that stand end to end in `bytes`, as the packing loops take them.
 * @throws TypeError, or RangeError where they are no lengths, or do not add up to the bytes that there are
 */
export function nodeLengths(bytes: Uint8Array, lengths: ArrayLike<number> | undefined): Uint32Array {
  assertBytes(bytes);
  if (typeof lengths !== 'object' || lengths === null || !Number.isSafeInteger(lengths.length))
    throw new TypeError('lengths are an array of numbers, such as a Uint32Array');
  let total = 0;
  for (let index = 0; index < lengths.length; index++) {
    const nodeBytes = lengths[index] as number; // index < lengths.length
    if (!Number.isInteger(nodeBytes) || nodeBytes < 0 || nodeBytes > MAX_LENGTH)
      throw new RangeError(`${nodeBytes} is not the length of a node`);
    total += nodeBytes;
  }
  if (total !== bytes.length)
    throw new RangeError(`the lengths add up to ${total}, and there are ${bytes.length} bytes`);
  return lengths instanceof Uint32Array ? lengths : Uint32Array.from(lengths);
}

/** No page holds as many bytes of nodes, or as many nodes. */
const MORE_THAN_A_PAGE = 262_144;

/**
 * Checks nodes `from` to `to - 1`, which stand end to end in `source`, but not more than a page takes: else a caller that comes
 * once for each page would have those at the end checked again and again.
 * @returns behind the last one that was checked
 * @throws TypeError, or RangeError where they are not all in `lengths`, or not all their bytes in `source`
 */
export function checkedNodes(source: unknown, start: number, lengths: unknown, from: number, to: number): number {
  if (!(lengths instanceof Uint32Array)) throw new TypeError('lengths are a Uint32Array');
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && to >= from && to <= lengths.length))
    throw new RangeError(`[${from}, ${to}) is not a range within ${lengths.length} lengths`);
  const last = Math.min(to, from + MORE_THAN_A_PAGE);
  let end = start;
  let index = from;
  // What is longer than a page is counted in, and then refused.
  while (index < last && end - start <= MORE_THAN_A_PAGE) end += lengths[index++] as number; // index < to <= lengths.length
  assertRange(source, start, end);
  return index;
}

/** @throws TypeError, or RangeError where [start, end) is not within `source` */
export function assertRange(source: unknown, start: number, end: number): void {
  assertBytes(source);
  assertByteRange(source, start, end);
}

/** @throws RangeError for what is not a whole number of at least 1, or no page format */
export function assertAllocation(count: number, format: PageFormat | undefined): void {
  assertPageFormat(format);
  if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`${count} is not a whole number of at least 1`);
}

/** @throws RangeError for what is not a whole number of at least 0 */
export function assertBlockId(block: number): void {
  if (!Number.isSafeInteger(block) || block < 0) throw new RangeError(`${block} is not a block id`);
}

/** @throws RangeError where block or slot is not a whole number of at least 0 */
export function assertRef({ block, slot }: PageRef): void {
  assertBlockId(block);
  if (!Number.isSafeInteger(slot) || slot < 0) throw new RangeError(`${slot} is not a slot`);
}

/** @throws TypeError or RangeError for what a store cannot be opened with */
export function assertOpening(
  file: string | BlockFile,
  access: Access,
  format: PageFormat | undefined,
  cacheBytes: number = 0,
): void {
  assertFile(file);
  assertPageFormat(format);
  if (!(typeof cacheBytes === 'number' && cacheBytes >= 0)) throw new RangeError(`${cacheBytes} is no number of bytes`);
  if (access !== 'read' && access !== 'write')
    throw new RangeError(`'${String(access)}' is no access: read and write are`);
}

function assertFile(file: string | BlockFile): void {
  if (typeof file === 'string') return;
  const { read, write, journal } = (file ?? {}) as Partial<BlockFile>;
  if (typeof read === 'function' && typeof write === 'function' && typeof journal?.read === 'function') return;
  throw new TypeError('a page file is given as a path, or as a BlockFile with a journal');
}

/** @throws RangeError for what is neither `v1` nor `v2`, nor left out */
function assertPageFormat(format: PageFormat | undefined): void {
  if (format !== undefined && format !== 'v1' && format !== 'v2') {
    throw new RangeError(`'${String(format)}' is no page format: v1 and v2 are`);
  }
}
