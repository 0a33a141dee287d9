import type { ProblemCode } from '../errors.ts';
import type { Severity } from '../format/invariants.ts';

/** One thing that verify checks. Its id is never given to another rule, also when this one is gone. */
export interface Rule {
  /** The code of its findings; docs/findings has a page of that name. */
  readonly id: ProblemCode;
  /** The highest severity of its findings. */
  readonly severity: Severity;
  /** What is wrong where it finds something, in one line. */
  readonly summary: string;
}

/** Every rule, in the order in which a file is checked: header, pages, what the blocks say together. */
export const RULES: readonly Rule[] = [
  { id: 'FILE_HEADER_MAGIC', severity: 'error', summary: 'the file does not begin with the magic of a page file' },
  { id: 'FILE_HEADER_VERSION', severity: 'error', summary: 'the file has a version that is not known' },
  { id: 'FILE_HEADER_CHECKSUM', severity: 'error', summary: 'the checksum of the file header does not match' },
  { id: 'FILE_HEADER_RESERVED', severity: 'error', summary: 'a field of the file header that has to be 0 is not' },
  { id: 'FILE_SIZE', severity: 'error', summary: 'the file does not end with a whole block' },
  { id: 'BLOCK_COUNT_BEYOND_FILE', severity: 'error', summary: 'the file header counts blocks that are not there' },
  { id: 'BLOCKS_UNCOUNTED', severity: 'warning', summary: 'the file has blocks that its header does not count' },
  { id: 'ROOT_POINTER', severity: 'error', summary: 'the root pointer leads nowhere' },
  { id: 'ROOT_DESCRIPTOR', severity: 'error', summary: 'the root descriptor says what cannot be' },
  { id: 'FILE_HEADER_COPY', severity: 'error', summary: 'the copy of the file header does not have its checksum' },
  { id: 'COMMIT_RECORD', severity: 'info', summary: 'a commit record does not have its checksum' },
  { id: 'JOURNAL_MISMATCH', severity: 'error', summary: 'the journal beside the file is not of this file' },
  { id: 'PAGE_MAGIC', severity: 'error', summary: 'a block is a page but for the magic that it begins with' },
  { id: 'PAGE_VERSION', severity: 'error', summary: 'the version of a page is not that of its magic' },
  { id: 'PAGE_FLAGS', severity: 'error', summary: 'the flags of a page have unknown bits, or not those of its format' },
  { id: 'PAGE_BOUNDS', severity: 'error', summary: 'a page header says what does not fit in a block' },
  { id: 'NODES_WITHOUT_DIRECTORY', severity: 'warning', summary: 'a page has node bytes and no directory' },
  { id: 'DIRECTORY_TRUNCATED', severity: 'error', summary: 'the directory of a page runs past the block' },
  { id: 'DIRECTORY_LENGTH', severity: 'error', summary: 'the directory of a page is not as long as its header says' },
  { id: 'SLOT_BOUNDS', severity: 'error', summary: 'a slot names bytes outside the node area' },
  { id: 'SLOT_OVERLAP', severity: 'error', summary: 'two slots name the same bytes' },
  { id: 'PAGE_CHECKSUM', severity: 'error', summary: 'the checksum of a page does not match its bytes' },
  {
    id: 'PAGE_CHECKSUM_STALE',
    severity: 'warning',
    summary: 'another program has appended to a page since its checksum',
  },
  { id: 'PAGE_CHECKSUM_FIELDS', severity: 'error', summary: 'a page without a checksum has fields of one' },
  { id: 'PAGE_CHECKSUM_ABSENT', severity: 'error', summary: 'a page has no checksum' },
  { id: 'PAGE_NOT_FINALIZED', severity: 'error', summary: 'a page is not finalized' },
  { id: 'FREE_LIST_LINK', severity: 'error', summary: 'the free list leads to what is no free block' },
  { id: 'FREE_LIST_CYCLE', severity: 'error', summary: 'the free list runs in a circle' },
  { id: 'BLOCK_UNKNOWN', severity: 'error', summary: 'a block is neither a page nor free' },
  { id: 'BLOCK_UNWRITTEN', severity: 'warning', summary: 'a block was allocated and never written' },
  { id: 'ENTRY_COUNT', severity: 'warning', summary: 'the file header counts other nodes than the pages have' },
];
