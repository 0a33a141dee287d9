import type { Problem, Severity } from '../format/invariants.ts';

/** Something that verify has to say about a file. */
export interface Finding extends Problem {
  /** The file, as the caller named it. */
  readonly file: string;
  /** The command line to run next, as a shell takes it. */
  readonly next: string;
}

export interface VerifyOptions {
  /** Makes a page without a checksum an error. */
  readonly requireChecksums?: boolean;
  /** Makes a page that is not finalized an error. */
  readonly requireFinalized?: boolean;
  /** Called after each block, or after some at once. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops the check between two blocks: it resolves all the same, with what was found so far. */
  readonly signal?: AbortSignal;
}

/** What was looked at, and how much was found. */
export interface VerifySummary {
  readonly file: string;
  /** Size of the file in bytes. */
  readonly bytes: number;
  /** Blocks that were read, block 0 counted. */
  readonly blocks: number;
  readonly pages: number;
  readonly freeBlocks: number;
  readonly unwrittenBlocks: number;
  readonly nodes: number;
  /** Whether a writer was at work: then what needs all blocks as of one moment (free list, counts) was not checked. */
  readonly changed: boolean;
  /** Whether the signal has stopped it: then the blocks from `blocks` on were not read, and free list and counts not checked. */
  readonly interrupted: boolean;
  readonly findings: Readonly<Record<Severity, number>>;
}

/** Receives findings as they are made, so that none has to be kept. */
export type FindingSink = (finding: Finding) => void | Promise<void>;

const RANK: Readonly<Record<Severity, number>> = { info: 0, warning: 1, error: 2 };

/** How many findings are at or above a severity. */
export function countFrom(severity: Severity, findings: Readonly<Record<Severity, number>>): number {
  let count = 0;
  for (const [each, found] of Object.entries(findings)) if (RANK[each as Severity] >= RANK[severity]) count += found;
  return count;
}
