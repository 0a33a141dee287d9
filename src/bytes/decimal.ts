/** A whole number with a comma between each three digits: `262,144`. The locale functions of the system take 7 MiB for it. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** `1 byte`, `2 bytes`, as messages say it; {@link grouped} is for reports. @param noun - of one */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Digits of the largest u64. */
export const U64_DIGITS = 20;
const TEN_DIGITS = 10_000_000_000;
const DIGIT_ZERO = 0x30;

/**
 * Writes a u64 in decimal, right-aligned, to the first 20 bytes of `target`; no string is made.
 * @param value - a bigint of 0 to 2^64 - 1, or an integer of 0 to 2^53 - 1
 * @returns the offset of the first digit; the last one is at 19
 * @throws RangeError for any other value; nothing is written then
 */
export function writeDecimalU64(value: number | bigint, target: Uint8Array): number {
  let rest: number;
  let upper = 0;
  if (typeof value === 'bigint') {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new RangeError(`${value} is not a u64`);
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) rest = Number(value);
    else {
      upper = Number(value / BigInt(TEN_DIGITS));
      rest = Number(value % BigInt(TEN_DIGITS));
    }
  } else {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`${String(value)} is not a u64: a number has to be an integer of 0 to 2^53 - 1`);
    }
    rest = value;
  }
  if (upper === 0) return writeDigits(rest, target, U64_DIGITS);
  const from = writeDigits(rest, target, U64_DIGITS);
  // The lower ten digits have their zeros where others stand before them.
  target.fill(DIGIT_ZERO, U64_DIGITS - 10, from);
  return writeDigits(upper, target, U64_DIGITS - 10);
}

/** Writes an integer of 0 to 2^53 - 1 so that it ends before `end`, and returns where it begins. */
function writeDigits(value: number, target: Uint8Array, end: number): number {
  let at = end;
  let rest = value;
  while (rest > 0x7fff_ffff) {
    const tenth = Math.floor(rest / 10);
    target[--at] = DIGIT_ZERO + (rest - tenth * 10);
    rest = tenth;
  }
  do {
    const tenth = (rest / 10) | 0;
    target[--at] = DIGIT_ZERO + (rest - tenth * 10);
    rest = tenth;
  } while (rest > 0);
  return at;
}
