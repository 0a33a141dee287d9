import { grouped } from '../bytes/encodings.ts';
import { type CommitRecord, decodeCommitRecord } from '../format/commit-record.ts';
import { FILE_HEADER, type FileHeader, headerCopyState } from '../format/file-header.ts';
import {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  fileOffset,
  HEADER_COPY_OFFSET,
  PAGE_HEADER_BYTES,
} from '../format/layout.ts';
import { firstPageError, pageProblems } from '../format/page-checks.ts';
import { checksumState } from '../format/page-checksum.ts';
import { PAGE_FLAG, PAGE_HEADER } from '../format/page-header.ts';
import { nodeOf, type Page } from '../format/page.ts';
import { fieldText } from '../format/regions.ts';
import { dumpRange } from './hexdump.ts';

/** A column of a table: its heading, its width in characters, and the side on which its cells stand. */
export interface Column {
  readonly heading: string;
  readonly width: number;
  readonly align?: 'left' | 'right';
}

/** A row as a line, or the headings where no cells are given. A table is written row by row, so its widths are fixed. */
export function tableRow(columns: readonly Column[], cells?: readonly (string | number)[]): string {
  const texts = columns.map(({ heading, width, align }, index) => {
    const cell = cells === undefined ? heading : cellText(cells[index] ?? '');
    return align === 'left' ? cell.padEnd(width) : cell.padStart(width);
  });
  return `${texts.join('  ').trimEnd()}\n`;
}

function cellText(cell: string | number): string {
  return typeof cell === 'number' ? grouped(cell) : cell;
}

/** Bytes as text on one line: printable ASCII as it is, the rest as escapes, cut after `most` bytes. */
export function preview(bytes: Uint8Array, most: number): string {
  let text = '';
  for (const byte of bytes.subarray(0, most)) {
    if (byte === 0x5c) text += '\\\\';
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return bytes.length > most ? `${text}…` : text;
}

const FIELDS: readonly Column[] = [
  { heading: 'offset', width: 6 },
  { heading: 'field', width: 17, align: 'left' },
  { heading: 'value', width: 18 },
  { heading: 'meaning', width: 0, align: 'left' },
];

const SLOTS: readonly Column[] = [
  { heading: 'slot', width: 6 },
  { heading: 'entry at', width: 8 },
  { heading: 'node at', width: 8 },
  { heading: 'bytes', width: 8 },
  { heading: 'node', width: 0, align: 'left' },
];

const PREVIEW_BYTES = 48;

/** One page: header fields with their offsets, then a row for each slot with the first bytes of its node. */
export function* pageTable(page: Page, blockId: number): Generator<string> {
  yield `block ${blockId}, ${page.format.toUpperCase()} page at byte ${fileOffset(blockId)}\n\n`;
  yield tableRow(FIELDS);
  const values = page.header as unknown as Readonly<Record<string, number | bigint | Uint8Array>>;
  for (const { name, offset, doc } of PAGE_HEADER.fields) {
    const value = values[name] ?? 0;
    const text = value instanceof Uint8Array ? bytesText(value) : fieldText(name, value);
    yield tableRow(FIELDS, [String(offset), name, text, doc]);
  }
  yield '\n';
  const { directory } = page;
  yield directory.count === 0 ? 'no slots\n' : tableRow(SLOTS);
  for (let slot = 0; slot < directory.count; slot++) {
    const [at, bytes] = [directory.nodeOffset(slot), directory.nodeBytes(slot)];
    const cells = [slot, directory.entryOffset(slot), at, bytes].map(String);
    yield tableRow(SLOTS, [...cells, nodeText(page, slot, at + bytes)]);
  }
}

function nodeText(page: Page, slot: number, end: number): string {
  return end > BLOCK_BYTES ? '(outside the block)' : preview(nodeOf(page, slot), PREVIEW_BYTES);
}

function bytesText(bytes: Uint8Array): string {
  return bytes.every((byte) => byte === 0) ? '0' : Buffer.from(bytes).toString('hex');
}

/** One node: where its directory entry and its bytes are, and a hexdump of them. */
export function* nodeDump(page: Page, blockId: number, slot: number): Generator<string> {
  const { directory } = page;
  const [at, bytes] = [directory.nodeOffset(slot), directory.nodeBytes(slot)];
  const entry = fileOffset(blockId, directory.entryOffset(slot));
  yield `node ${blockId}:${slot}: ${bytes} bytes at byte ${fileOffset(blockId, at)}, directory entry at byte ${entry}\n`;
  if (at + bytes > BLOCK_BYTES) yield 'the node runs past the block\n';
  yield* dumpRange(page.block, blockId, at, Math.min(at + bytes, BLOCK_BYTES), '');
}

const FIELDS_FILE_DUMP: readonly Column[] = [
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
  yield tableRow(FIELDS_FILE_DUMP);
  const values = header as unknown as Readonly<Record<string, number | bigint>>;
  for (const { name, offset, doc } of FILE_HEADER.fields) {
    yield tableRow(FIELDS_FILE_DUMP, [String(offset), name, fieldText(name, values[name] ?? 0), doc]);
  }
  for (const offset of COMMIT_RECORD_OFFSETS) {
    const record = decodeCommitRecord(block0, offset);
    if (record === undefined) continue;
    const { sequence, block } = record;
    const what = block === 0 ? 'new blocks alone' : `block ${block}`;
    yield tableRow(FIELDS_FILE_DUMP, [
      String(offset),
      'commit record',
      String(sequence),
      `${what}; ${commitNote(record)}`,
    ]);
  }
  yield tableRow(FIELDS_FILE_DUMP, [
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
