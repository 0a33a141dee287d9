import { ARENA_BLOCK_BYTES } from './block-memory.ts';

/** Largest alignment: TLABs begin at multiples of it. */
const MAX_ALIGNMENT = 64;

/** @throws RangeError where `bytes` is not a whole number of 0 to 2 MiB, or `alignment` no power of two up to 64 */
export function assertAllocation(bytes: number, alignment: number): void {
  if (bytes >>> 0 !== bytes || bytes > ARENA_BLOCK_BYTES)
    throw new RangeError(`an allocation has 0 to ${ARENA_BLOCK_BYTES} bytes, not ${bytes}`);
  if (
    alignment >>> 0 !== alignment ||
    alignment < 1 ||
    alignment > MAX_ALIGNMENT ||
    (alignment & (alignment - 1)) !== 0
  )
    throw new RangeError(`an alignment is a power of two up to ${MAX_ALIGNMENT}, not ${alignment}`);
}

/** @throws TypeError, or RangeError where [start, end) is not within `source`, or longer than a block */
export function assertSource(source: Uint8Array, start: number, end: number): void {
  if (!(source instanceof Uint8Array)) throw new TypeError('what is copied into an arena is a Uint8Array');
  if (start >>> 0 !== start || end >>> 0 !== end || start > end || end > source.length)
    throw new RangeError(`[${start}, ${end}) is not a range within ${source.length} bytes`);
  if (end - start > ARENA_BLOCK_BYTES)
    throw new RangeError(`an allocation has 0 to ${ARENA_BLOCK_BYTES} bytes, not ${end - start}`);
}

/** @throws RangeError for what is not a whole number of 0 to 2^53 - 1 */
export function assertEpoch(epoch: number): void {
  if (!Number.isSafeInteger(epoch) || epoch < 0) throw new RangeError(`${epoch} is not an epoch`);
}

/** Whether [offset, offset + bytes) is within one block, and ends at or before `end`. */
export function isRangeOfBlock(offset: number, bytes: number, end: number): boolean {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(bytes) || offset < 0 || bytes < 0) return false;
  return offset < end && offset + bytes <= end && (offset % ARENA_BLOCK_BYTES) + bytes <= ARENA_BLOCK_BYTES;
}
