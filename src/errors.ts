/** What can be wrong in a page file: codes of errors and of findings of `verify`; docs/findings explains each. */
export type ProblemCode =
  | 'FILE_SIZE'
  | 'FILE_HEADER_MAGIC'
  | 'FILE_HEADER_VERSION'
  | 'FILE_HEADER_CHECKSUM'
  | 'FILE_HEADER_RESERVED'
  | 'FILE_HEADER_COPY'
  | 'FILE_HEADER_OLD'
  | 'COMMIT_RECORD'
  | 'BLOCK_COUNT_BEYOND_FILE'
  | 'BLOCKS_UNCOUNTED'
  | 'ROOT_POINTER'
  | 'ROOT_DESCRIPTOR'
  | 'TRIE_ARENA_COUNT'
  | 'TRIE_BLOCK_COUNT'
  | 'TRIE_FREE_BLOCKS'
  | 'JOURNAL_MISMATCH'
  | 'JOURNAL_PENDING'
  | 'FREE_LIST_LINK'
  | 'FREE_LIST_CYCLE'
  | 'ENTRY_COUNT'
  | 'PAGES_DIGEST'
  | 'DIGEST_FOREIGN'
  | 'BLOCK_UNKNOWN'
  | 'BLOCK_UNWRITTEN'
  | 'PAGE_MAGIC'
  | 'PAGE_VERSION'
  | 'PAGE_FLAGS'
  | 'PAGE_BOUNDS'
  | 'PAGE_CHECKSUM'
  | 'PAGE_CHECKSUM_STALE'
  | 'PAGE_CHECKSUM_ABSENT'
  | 'PAGE_CHECKSUM_FIELDS'
  | 'PAGE_MISPLACED'
  | 'PAGE_NOT_FINALIZED'
  | 'TRIE_PAGE_FORMAT'
  | 'DIRECTORY_TRUNCATED'
  | 'DIRECTORY_LENGTH'
  | 'NODES_WITHOUT_DIRECTORY'
  | 'SLOT_BOUNDS'
  | 'SLOT_OVERLAP'
  | 'SLOT_LOST';

/** What can be wrong with the trie in a page file whose pages are valid. `verify` does not look for these. */
export type TrieProblemCode = 'TRIE_NODE' | 'TRIE_POINTER' | 'TRIE_CYCLE';

/** What can be wrong with a request, or with the system that executes it. */
export type OperationCode =
  | 'NOT_A_PAGE_FILE'
  | 'FILE_EXISTS'
  | 'FILE_FULL'
  | 'FILE_CLOSED'
  | 'FILE_LOCKED'
  | 'FILE_READ_ONLY'
  | 'FILE_CHANGED'
  | 'FILE_REPLACED'
  | 'FILE_HAS_TRIE'
  | 'NO_TRIE'
  | 'OTHER_TRIE'
  | 'SAME_FILE'
  | 'IO'
  | 'BLOCK_RANGE'
  | 'BLOCK_FREE'
  | 'BLOCK_IN_USE'
  | 'SLOT_RANGE'
  | 'NODE_TOO_LARGE'
  | 'NODE_LENGTH'
  | 'INVALID_REF'
  | 'INVALID_ENCODING'
  | 'INVALID_FRAMING'
  | 'INVALID_LINE'
  | 'KEY_OVERFLOW'
  | 'KEY_NOT_FOUND'
  | 'STALE_KEY'
  | 'STALE_EPOCH'
  | 'EPOCH_PINNED'
  | 'ARENA_FULL'
  | 'SHARDS_TAKEN'
  | 'NOT_AN_UNDO_FILE'
  | 'UNDO_MISMATCH';

export type ErrorCode = ProblemCode | TrieProblemCode | OperationCode;

/** Where the problem is, and what was found there. Fields that do not apply are absent. */
export interface ErrorDetail {
  /** The path, or other name, that the caller gave. */
  readonly file?: string;
  readonly block?: number;
  /** Index in the block's slot directory. */
  readonly slot?: number;
  /** Byte offset from the start of the file. */
  readonly offset?: number;
  readonly found?: string;
  readonly expected?: string;
  /** The errno name of the system call that failed, such as `ENOSPC`. */
  readonly errno?: string;
  /** With `FILE_LOCKED`, the holder: `gone` if it ended and left the lock, `unknown` if that cannot be determined. */
  readonly holder?: 'running' | 'gone' | 'unknown';
}

/** The error for files, devices and data. A wrong argument is a TypeError or RangeError instead. */
export class PageStoreError extends Error {
  override readonly name = 'PageStoreError';
  /** One of a closed list. Codes do not change; messages may. */
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.detail = detail;
  }
}
