import type { ErrorCode, OperationCode } from '../errors.ts';

/** Exit codes, fixed for scripts. See docs/cli.md. */
export const EXIT = { done: 0, findings: 1, usage: 2, io: 3, locked: 4, damaged: 5, interrupted: 130 } as const;

/** What the shell is told of a request that could not be carried out. */
const EXIT_BY_OPERATION: Readonly<Record<OperationCode, number>> = {
  NOT_A_PAGE_FILE: EXIT.io,
  FILE_EXISTS: EXIT.io,
  FILE_FULL: EXIT.io,
  FILE_CLOSED: EXIT.io,
  FILE_LOCKED: EXIT.locked,
  FILE_READ_ONLY: EXIT.io,
  FILE_CHANGED: EXIT.locked,
  FILE_HAS_TRIE: EXIT.usage,
  IO: EXIT.io,
  BLOCK_RANGE: EXIT.usage,
  BLOCK_FREE: EXIT.usage,
  BLOCK_IN_USE: EXIT.usage,
  SLOT_RANGE: EXIT.usage,
  NODE_TOO_LARGE: EXIT.usage,
  NODE_LENGTH: EXIT.usage,
  INVALID_REF: EXIT.usage,
  INVALID_ENCODING: EXIT.usage,
  INVALID_FRAMING: EXIT.usage,
  INVALID_LINE: EXIT.usage,
  KEY_OVERFLOW: EXIT.usage,
  STALE_KEY: EXIT.usage,
  STALE_EPOCH: EXIT.usage,
  EPOCH_PINNED: EXIT.usage,
  ARENA_FULL: EXIT.io,
  SHARDS_TAKEN: EXIT.usage,
  NOT_AN_UNDO_FILE: EXIT.io,
  UNDO_MISMATCH: EXIT.io,
};

/** The exit code of an error: every code that is not of a request is of a damaged file. */
export function exitCodeOf(code: ErrorCode): number {
  return code in EXIT_BY_OPERATION ? EXIT_BY_OPERATION[code as OperationCode] : EXIT.damaged;
}
