import type { ProblemCode } from '../errors.ts';

/** `error`: bytes are damaged or may mislead a reader. `warning`: valid, but not what the last writer meant to leave. */
export type Severity = 'info' | 'warning' | 'error';

export interface FlippedBit {
  /** Byte offset from the start of the file. */
  readonly offset: number;
  /** 0 for value 1, to 7 for value 128. */
  readonly bit: number;
}

/** A violation of the file format. Opening a file throws the first one, verify reports all. */
export interface Problem {
  readonly code: ProblemCode;
  readonly severity: Severity;
  /** One sentence, without the file's name. */
  readonly message: string;
  /** Byte offset from the start of the file. */
  readonly offset: number;
  /** Length of the affected range, if known. */
  readonly bytes?: number;
  /** The one bit whose flipping would explain a checksum mismatch. */
  readonly flippedBit?: FlippedBit;
  /** Whether the original value cannot be derived, so that repair leaves it or takes it from elsewhere. */
  readonly isBeyondRepair?: boolean;
  /** Whether only a repair with `likelyBits` mends it: the flipped bit is only probably right. */
  readonly isLikely?: boolean;
  readonly block?: number;
  readonly slot?: number;
  readonly found?: string;
  readonly expected?: string;
}

/** In one block; `offset` is from the start of the file. */
export interface FileRange {
  readonly block: number;
  readonly offset: number;
  readonly bytes: number;
}

/** Shared, so that a valid page costs no allocation. */
export const NO_PROBLEMS: readonly Problem[] = [];

/** @param digits - minimum number of digits */
export const hex = (value: number | bigint, digits = 0): string => `0x${value.toString(16).padStart(digits, '0')}`;
