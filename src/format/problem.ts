import type { ProblemCode } from '../errors.ts';

/**
 * `error`: bytes are damaged or may mislead a reader. `warning`: the file is valid as far as can be checked, but not
 * what its last writer meant to leave. `info`: worth knowing.
 */
export type Severity = 'info' | 'warning' | 'error';

/** One bit of a file. */
export interface FlippedBit {
  /** Byte offset from the start of the file. */
  readonly offset: number;
  /** 0 for the bit of value 1, to 7 for the bit of value 128. */
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
  /** Length of the affected range, if it is known. */
  readonly bytes?: number;
  /** The one bit whose flipping would explain a checksum mismatch. */
  readonly flippedBit?: FlippedBit;
  /** Whether the original value cannot be derived, so that repair leaves it or takes it from elsewhere. */
  readonly isBeyondRepair?: boolean;
  readonly block?: number;
  readonly slot?: number;
  readonly found?: string;
  readonly expected?: string;
}

/** A range of bytes in one block, as problems locate it; `offset` is from the start of the file. */
export interface FileRange {
  readonly block: number;
  readonly offset: number;
  readonly bytes: number;
}

/** The result of checks that find nothing: always this array, so that a valid page costs no allocation. */
export const NO_PROBLEMS: readonly Problem[] = [];

/** A number in hexadecimal, as dumps and messages print it. @param digits - the least number of digits */
export const hex = (value: number | bigint, digits = 0): string => `0x${value.toString(16).padStart(digits, '0')}`;
