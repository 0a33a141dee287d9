import { crc32 } from '../bytes/checksum.ts';
import { flipBit, flippedBitOf, onlyBitOf, onlyDifferingBit } from '../bytes/flipped-bit.ts';
import { FILE_HEADER, type FileHeader, hasItsChecksum } from './file-header.ts';
import { fileHeaderProblems } from './invariants.ts';
import { FILE_HEADER_BYTES } from './layout.ts';

/**
 * The one bit of a file header that, flipped back, makes it sound; undefined where there is none. Each is tried: the
 * header is short, and its checksum no linear one.
 * @param wholeBlocks - blocks that the file has
 * @returns the bit's index in block 0
 */
export function flippedHeaderBit(header: FileHeader, wholeBlocks: number): number | undefined {
  const bytes = new Uint8Array(FILE_HEADER_BYTES);
  FILE_HEADER.write(header, bytes);
  const found: number[] = [];
  for (let bit = 0; bit < 8 * FILE_HEADER_BYTES; bit++) {
    flipBit(bytes, bit);
    if (hasItsChecksum(bytes)) {
      const mended = FILE_HEADER.read(bytes);
      // A program that was stopped before its sync leaves a new count under an old checksum: then the count is right.
      const isStale = mended.blockCount !== header.blockCount && header.blockCount === wholeBlocks;
      if (!isStale && fileHeaderProblems(mended).next().done === true) found.push(bit);
    }
    flipBit(bytes, bit);
  }
  return found.length === 1 ? found[0] : undefined;
}

/**
 * The one bit of a range whose CRC-32 stands in the four bytes behind it that, flipped back, makes the two agree.
 * @param stored - the range and its CRC-32
 * @returns the bit's index in `stored`; undefined where no single bit explains it
 */
export function flippedBitUnderCrc(stored: Uint8Array): number | undefined {
  const length = stored.length - CRC_BYTES;
  const sum = new DataView(stored.buffer, stored.byteOffset + length, CRC_BYTES).getUint32(0, true);
  const difference = (crc32(stored.subarray(0, length)) ^ sum) >>> 0;
  const ofSum = onlyBitOf(difference);
  const bit = ofSum >= 0 ? 8 * length + ofSum : flippedBitOf(difference, length);
  if (bit >= 0) return bit;
  // Where there is none, all its bytes are zero.
  const ofNone = onlyDifferingBit(stored, new Uint8Array(stored.length));
  return ofNone >= 0 ? ofNone : undefined;
}

const CRC_BYTES = 4;
