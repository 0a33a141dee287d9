/**
 * An epoch in two words of shared memory, the low 32 bits at `at` and the others behind. Whoever writes it is alone in
 * doing so.
 * @returns the epoch, whole even while it is being written
 */
export function loadEpoch(words: Int32Array, at: number): number {
  for (;;) {
    const high = Atomics.load(words, at + 1);
    const low = Atomics.load(words, at);
    // Were the high word to change in between, the low one could be of either epoch.
    if (Atomics.load(words, at + 1) === high) return (high >>> 0) * 2 ** 32 + (low >>> 0);
  }
}

/** Writes an epoch of 0 to 2^53 - 1. */
export function storeEpoch(words: Int32Array, at: number, epoch: number): void {
  const high = Math.floor(epoch / 2 ** 32) | 0;
  // A store in order costs as much as a few keys, and this word changes once in 2^32 epochs.
  if (Atomics.load(words, at + 1) !== high) Atomics.store(words, at + 1, high);
  Atomics.store(words, at, epoch | 0);
}
