const POOL_BYTES = 8192;
const ALIGNMENT_BYTES = 8;

let pool = new Uint8Array(POOL_BYTES);
let usedBytes = 0;

/**
 * Memory for a few bytes, all zero. A small array of its own would be moved to another place when a view or a system call
 * takes it, which costs several times what a part of a larger array does.
 * @param length - up to 8192
 */
export function pooledBytes(length: number): Uint8Array {
  if (usedBytes + length > POOL_BYTES) {
    pool = new Uint8Array(POOL_BYTES);
    usedBytes = 0;
  }
  const start = usedBytes;
  usedBytes += Math.ceil(length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  return pool.subarray(start, start + length);
}
