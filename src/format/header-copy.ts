import { flipBit } from '../bytes/flipped-bit.ts';
import { HEADER_COPY, headerCopyState } from './file-header.ts';
import { flippedBitUnderCrc } from './head-flipped-bit.ts';
import { FILE_HEADER_BYTES, HEADER_COPY_OFFSET, ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from './layout.ts';

/** What the copy in block 0 was made of. */
export interface CopiedHeader {
  /** 64 bytes. */
  readonly fileHeader: Uint8Array;
  /** 18 bytes. */
  readonly rootDescriptor: Uint8Array;
}

/** What the header copy says, where its checksum holds, or holds with one bit flipped back. @param head - the first 12,800 bytes of block 0 */
export function copiedHeader(head: Uint8Array): CopiedHeader | undefined {
  const stored = mendedCopy(head);
  if (stored === undefined || stored.every((byte) => byte === 0)) return undefined;
  return {
    fileHeader: stored.subarray(0, FILE_HEADER_BYTES),
    rootDescriptor: stored.subarray(FILE_HEADER_BYTES, FILE_HEADER_BYTES + ROOT_DESCRIPTOR_BYTES),
  };
}

/** The bytes of the header copy, one bit flipped back where that is it; all zero where there is none; undefined where they are damaged. */
export function mendedCopy(head: Uint8Array): Uint8Array | undefined {
  const stored = head.slice(HEADER_COPY_OFFSET, HEADER_COPY_OFFSET + HEADER_COPY.bytes);
  return headerCopyState(head) !== 'damaged' || flipBack(stored) ? stored : undefined;
}

/**
 * Flips back the bit that explains a wrong CRC-32 of few bytes. Of other damage to so few, less than one in a million
 * would look so.
 */
export function flipBack(stored: Uint8Array): boolean {
  const bit = flippedBitUnderCrc(stored);
  if (bit !== undefined) flipBit(stored, bit);
  return bit !== undefined;
}

/** The bytes of the root descriptor in block 0. */
export function rootDescriptorOf(head: Uint8Array): Uint8Array {
  return head.subarray(ROOT_DESCRIPTOR_OFFSET, ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
}
