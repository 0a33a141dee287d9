/** After so long without input, what has come so far is made durable. */
export const PAUSE_MS = 50;

/** Input that neither pauses nor fills a batch is made durable after so long all the same. */
export const LONGEST_WAIT_MS = 1000;

/** Longest frame: no page holds as much, and hex takes two characters for a byte. */
export const MAX_FRAME_BYTES: number = 2 * 262_144;
