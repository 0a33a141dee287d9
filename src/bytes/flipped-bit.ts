const REFLECTED_POLYNOMIAL = 0xedb8_8320;

// What a flipped bit changes in a CRC-32 depends on how many bits follow it: each doubles it, in the arithmetic of the
// sum, and what is not zero comes back to itself after 2^32 - 1 doublings. To find how many it were, by small and large steps:
// halve the difference 2,048 times at once, until it is one of the first 2,048 effects.

const STRIDE = 2048;

function double(effect: number): number {
  return (effect >>> 1) ^ (-(effect & 1) & REFLECTED_POLYNOMIAL);
}

function halve(effect: number): number {
  return effect < 0 ? ((effect ^ REFLECTED_POLYNOMIAL) << 1) | 1 : effect << 1;
}

/** The bits behind a flipped one, by its effect, where they are fewer than STRIDE. */
let firstEffects: ReadonlyMap<number, number> | undefined;
/** What STRIDE halvings make of each byte of an effect, at each of its four places: the whole is the exclusive or of the four. */
let halved: readonly Int32Array[] | undefined;

function makeFirstEffects(): ReadonlyMap<number, number> {
  const effects = new Map<number, number>();
  for (let effect = double(1), following = 0; following < STRIDE; effect = double(effect), following++) {
    effects.set(effect, following);
  }
  return effects;
}

function makeHalved(): readonly Int32Array[] {
  return [0, 8, 16, 24].map((shift) =>
    Int32Array.from({ length: 256 }, (_, byte) => {
      let effect = byte << shift;
      for (let step = 0; step < STRIDE; step++) effect = halve(effect);
      return effect;
    }),
  );
}

/**
 * The one bit that makes the difference between two CRC-32 of ranges of the same length. The CRC is linear: what a
 * bit changes in it depends on how many bits follow, and on nothing else, so the bytes are not needed.
 * @param difference - the exclusive or of the two sums
 * @param bytes - length of the range, below 2^28
 * @returns the bit's index, 8 times the byte's plus 0 for value 1 to 7 for value 128; -1 where no single bit is it
 */
export function flippedBitOf(difference: number, bytes: number): number {
  firstEffects ??= makeFirstEffects();
  const [a, b, c, d] = (halved ??= makeHalved()) as [Int32Array, Int32Array, Int32Array, Int32Array]; // four places
  const bits = 8 * bytes;
  let rest = difference | 0;
  for (let following = 0; following < bits; following += STRIDE) {
    const few = firstEffects.get(rest);
    if (few !== undefined) return Math.max(bits - 1 - following - few, -1);
    const high = (c[(rest >>> 16) & 255] ?? 0) ^ (d[rest >>> 24] ?? 0);
    rest = (a[rest & 255] ?? 0) ^ (b[(rest >>> 8) & 255] ?? 0) ^ high;
  }
  return -1;
}

/** The index, 0 to 31, of the only bit that is set in a number of up to 32 bits; -1 where another number of bits is. */
export function onlyBitOf(value: number): number {
  const bits = value >>> 0;
  return bits !== 0 && (bits & (bits - 1)) === 0 ? 31 - Math.clz32(bits) : -1;
}

/** How many bits of two ranges of the same length differ. */
export function differingBits(a: Uint8Array, b: Uint8Array): number {
  let count = 0;
  for (let index = 0; index < a.length; index++) {
    for (let rest = (a[index] ?? 0) ^ (b[index] ?? 0); rest !== 0; rest &= rest - 1) count++;
  }
  return count;
}

/** The one bit in which two ranges of the same length differ, as {@link flippedBitOf} counts; -1 where it is not one. */
export function onlyDifferingBit(a: Uint8Array, b: Uint8Array): number {
  if (differingBits(a, b) !== 1) return -1;
  const index = a.findIndex((byte, at) => byte !== b[at]);
  return 8 * index + onlyBitOf((a[index] ?? 0) ^ (b[index] ?? 0));
}

/** Flips the bit with this index, as {@link flippedBitOf} counts. Twice is as not at all. */
export function flipBit(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
}
