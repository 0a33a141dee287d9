// What the machine does at most: nothing that reads, copies, checks or writes bytes is faster.

import { closeSync, fsyncSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { readBuffer } from '../../src/bytes/buffer.ts';

const BLOCK_BYTES = 262_144;

/** Blocks that are copied, checked or written in one go. */
const BLOCKS = 256;

export interface Limit {
  readonly id: string;
  readonly name: string;
  /** @param path - a large file to read; what is written goes beside it. @returns bytes */
  run(path: string): number;
}

// Where a buffer begins decides how fast the system copies to it: see there.
const { buffer, byteOffset } = readBuffer(BLOCK_BYTES).fill(0x5a);
const block = Buffer.from(buffer, byteOffset, BLOCK_BYTES);
const other = Buffer.alloc(BLOCK_BYTES);

export const LIMITS: readonly Limit[] = [
  {
    id: 'copy',
    name: 'copy 256 KiB from one buffer to another',
    run() {
      for (let count = 0; count < BLOCKS; count++) other.set(block);
      return BLOCKS * BLOCK_BYTES;
    },
  },
  {
    id: 'crc',
    name: 'zlib.crc32 of 256 KiB',
    run() {
      for (let count = 0; count < BLOCKS; count++) if (crc32(block) === 0) throw new Error('not this one');
      return BLOCKS * BLOCK_BYTES;
    },
  },
  { id: 'read', name: 'read, 256 KiB into one buffer', run: (path) => readThrough(path, () => undefined) },
  {
    id: 'read and crc',
    name: 'read, 256 KiB into one buffer, and zlib.crc32 of it',
    run: (path) => readThrough(path, (block) => void crc32(block)),
  },
  {
    id: 'write and sync',
    name: 'write 64 MiB, 256 KiB at once, and fsync',
    run(path) {
      const written = `${path}.written`;
      const file = openSync(written, 'w');
      for (let count = 0; count < BLOCKS; count++) writeSync(file, block);
      fsyncSync(file);
      closeSync(file);
      rmSync(written);
      return BLOCKS * BLOCK_BYTES;
    },
  },
];

/** Reads a file into one buffer again and again, and gives each part to `each` while it is hot. @returns its bytes */
function readThrough(path: string, each: (block: Buffer) => void): number {
  const file = openSync(path, 'r');
  try {
    const size = statSync(path).size;
    for (let position = 0; position < size; position += BLOCK_BYTES) {
      const read = readSync(file, block, 0, BLOCK_BYTES, position);
      if (read !== Math.min(BLOCK_BYTES, size - position)) throw new Error(`${path} was cut short while it was read`);
      each(block);
    }
    return size;
  } finally {
    closeSync(file);
  }
}
