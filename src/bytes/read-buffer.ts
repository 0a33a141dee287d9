/** From the start of an allocation to the buffer in it. */
const SHIFT_BYTES = 48;

/**
 * A buffer of zeros for large reads, one after the other. The system copies from the start of a memory page to the buffer,
 * and where that is 1 to 31 bytes further on in a memory page, several processors take five times as long. An allocation of
 * this size begins 16 bytes behind the start of a page as a rule; this buffer begins 64 bytes behind it then.
 */
export function readBuffer(bytes: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(SHIFT_BYTES + bytes), SHIFT_BYTES);
}
