/** Words that a worker logs of an allocation: epoch or shard, offset, length. */
export const LOG_WORDS = 3;

/** Length of a worker's allocation: 8 to 87 bytes. */
export const patternBytes = (number: number): number => 8 + ((number * 37) % 80);

/** Fills `target` with bytes that identify the worker and the number of the allocation. */
export function patternOf(worker: number, number: number, target: Uint8Array): Uint8Array {
  const bytes = patternBytes(number);
  target[0] = worker;
  for (let at = 1; at < 4; at++) target[at] = number >>> (8 * at - 8);
  for (let at = 4; at < bytes; at++) target[at] = worker * 31 + number * 7 + at;
  return target.subarray(0, bytes);
}
