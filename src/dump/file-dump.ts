import { type CommitRecord, decodeCommitRecord } from '../format/commit-record.ts';
import { FILE_HEADER, type FileHeader, headerCopyState } from '../format/file-header.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, HEADER_COPY_OFFSET, PAGE_HEADER_BYTES } from '../format/layout.ts';
import type { Page } from '../format/page.ts';
import { checksumState } from '../format/page-checksum.ts';
import { PAGE_FLAG } from '../format/page-header.ts';
import { firstPageError, pageProblems } from '../format/page-invariants.ts';
import { fieldText } from '../format/regions.ts';
import { type Column, tableRow } from './table.ts';

const FIELDS: readonly Column[] = [
  { heading: 'offset', width: 6 },
  { heading: 'field', width: 20, align: 'left' },
  { heading: 'value', width: 20 },
  { heading: 'meaning', width: 0, align: 'left' },
];

/**
 * The file header, field by field, and what else block 0 holds.
 * @param commitNote - what there is to say of a commit record, besides its block
 */
export function* fileHeaderTable(
  header: FileHeader,
  block0: Uint8Array,
  commitNote: (record: CommitRecord) => string,
): Generator<string> {
  yield tableRow(FIELDS);
  const values = header as unknown as Readonly<Record<string, number | bigint>>;
  for (const { name, offset, doc } of FILE_HEADER.fields) {
    yield tableRow(FIELDS, [String(offset), name, fieldText(name, values[name] ?? 0), doc]);
  }
  for (const offset of COMMIT_RECORD_OFFSETS) {
    const record = decodeCommitRecord(block0, offset);
    if (record === undefined) continue;
    const { sequence, block } = record;
    const what = block === 0 ? 'new blocks alone' : `block ${block}`;
    yield tableRow(FIELDS, [String(offset), 'commit record', String(sequence), `${what}; ${commitNote(record)}`]);
  }
  yield tableRow(FIELDS, [
    String(HEADER_COPY_OFFSET),
    'header copy',
    headerCopyState(block0),
    'for the day the first sector is lost',
  ]);
}

const BLOCKS: readonly Column[] = [
  { heading: 'block', width: 8 },
  { heading: 'kind', width: 10, align: 'left' },
  { heading: 'state', width: 9, align: 'left' },
  { heading: 'nodes', width: 7 },
  { heading: 'node bytes', width: 10 },
  { heading: 'directory', width: 9 },
  { heading: 'free', width: 8 },
  { heading: 'fill', width: 6 },
  { heading: 'checksum', width: 8, align: 'left' },
  { heading: 'problem', width: 0, align: 'left' },
];

/** What a block was found to be, and what is known of it. */
export interface BlockRow {
  readonly block: number;
  readonly kind: 'V1 page' | 'V2 page' | 'free' | 'unwritten' | 'unknown' | 'cut off';
  readonly state?: 'open' | 'finalized' | 'uncounted';
  readonly nodes?: number;
  readonly nodeBytes?: number;
  readonly directoryBytes?: number;
  readonly freeBytes?: number;
  readonly checksum?: string;
  /** Code of the first thing that is wrong. */
  readonly problem?: string;
  /** Of a free block: the next one, 0 at the end. */
  readonly next?: number;
}

/** What there is to say of a page in one row. */
export function pageRow(page: Page, block: number): BlockRow {
  const { header, directory, format } = page;
  const directoryBytes = directory.end - directory.start;
  const nodeBytes = Math.max(0, Math.min(header.freeOffset, BLOCK_BYTES) - PAGE_HEADER_BYTES);
  const problem = firstPageError(page, block)?.code ?? firstWarning(page, block);
  return {
    block,
    kind: format === 'v1' ? 'V1 page' : 'V2 page',
    state: (header.flags & PAGE_FLAG.finalized) === 0 ? 'open' : 'finalized',
    nodes: directory.count,
    nodeBytes,
    directoryBytes,
    freeBytes: Math.max(0, BLOCK_BYTES - PAGE_HEADER_BYTES - nodeBytes - directoryBytes),
    checksum: checksumState(format, page.block, header, directory),
    ...(problem && { problem }),
  };
}

function firstWarning(page: Page, block: number): string | undefined {
  for (const problem of pageProblems(page, block)) if (problem.severity === 'warning') return problem.code;
  return undefined;
}

/** The headings of the table of blocks. */
export function blockTableHead(): string {
  return tableRow(BLOCKS);
}

/** A block as a row of the table. */
export function blockTableRow(row: BlockRow): string {
  const {
    block,
    kind,
    state = '',
    nodes,
    nodeBytes,
    directoryBytes,
    freeBytes,
    checksum = '',
    problem = '',
    next,
  } = row;
  const fill = freeBytes === undefined ? '' : `${(100 * (1 - freeBytes / BLOCK_BYTES)).toFixed(1)}%`;
  const note = next === undefined ? problem : `next: ${next === 0 ? 'none' : next}`;
  const sizes = [nodes ?? '', nodeBytes ?? '', directoryBytes ?? '', freeBytes ?? ''];
  return tableRow(BLOCKS, [String(block), kind, state, ...sizes, fill, checksum, note]);
}
