import { fileIdIn, fileIdState, fileIdText } from '../format/file-id.ts';
import { isLostEntry } from '../format/slots.ts';
import { isZero } from '../bytes/buffer.ts';
import { grouped } from '../bytes/encodings.ts';
import type { RecordLayout } from '../bytes/record.ts';
import { type CommitRecord, decodeCommitRecord } from '../format/commit-record.ts';
import { copyHash, DIGEST_OFFSET, type DigestKind, digestIn } from '../format/digest.ts';
import { FILE_HEADER, headerCopyState } from '../format/file-header.ts';
import { hex } from '../format/problem.ts';
import {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  fileOffset,
  FILE_ID_OFFSET,
  HEADER_COPY_OFFSET,
  PAGE_HEADER_BYTES,
} from '../format/layout.ts';
import { pageProblems, PageFacts } from '../format/page-checks.ts';
import { checksumState, isFinalized, PAGE_HEADER } from '../format/page-header.ts';
import { nodeOf, type Page } from '../format/page.ts';
import { recordRegions } from '../format/regions.ts';
import { dumpRange } from './hexdump.ts';

/** `width` is in characters. Cells are aligned right by default. */
export interface Column {
  readonly heading: string;
  readonly width: number;
  readonly align?: 'left' | 'right';
}

/** The headings without cells. Rows are written one by one, so columns have fixed widths. */
export function tableRow(columns: readonly Column[], cells?: readonly (string | number)[]): string {
  const texts = columns.map(({ heading, width, align }, index) => {
    const cell = cells === undefined ? heading : (cells[index] ?? '');
    const text = typeof cell === 'number' ? grouped(cell) : cell;
    return align === 'left' ? text.padEnd(width) : text.padStart(width);
  });
  return `${texts.join('  ').trimEnd()}\n`;
}

const fieldColumns = (nameWidth: number, valueWidth: number): readonly Column[] => [
  { heading: 'offset', width: 6 },
  { heading: 'field', width: nameWidth, align: 'left' },
  { heading: 'value', width: valueWidth },
  { heading: 'meaning', width: 0, align: 'left' },
];

const PAGE_HEADER_FIELDS = fieldColumns(17, 18);
const FILE_HEADER_FIELDS = fieldColumns(20, 20);

function* fieldRows<T>(columns: readonly Column[], layout: RecordLayout<T>, block: Uint8Array): Generator<string> {
  yield tableRow(columns);
  for (const { start, end, name, value, meaning = '' } of recordRegions(layout, block, 0, 'header', '')) {
    const bytes = block.subarray(start, end);
    const text = value ?? (isZero(bytes) ? '0' : Buffer.from(bytes).toString('hex'));
    yield tableRow(columns, [String(start), name, text, meaning]);
  }
}

const SLOTS: readonly Column[] = [
  { heading: 'slot', width: 6 },
  { heading: 'entry at', width: 8 },
  { heading: 'node at', width: 8 },
  { heading: 'bytes', width: 8 },
  { heading: 'node', width: 0, align: 'left' },
];

export function* pageTable(page: Page, blockId: number): Generator<string> {
  yield `block ${blockId}, ${page.format.toUpperCase()} page at byte ${fileOffset(blockId)}\n\n`;
  yield* fieldRows(PAGE_HEADER_FIELDS, PAGE_HEADER, page.block);
  yield '\n';
  const { directory } = page;
  yield directory.count === 0 ? 'no slots\n' : tableRow(SLOTS);
  for (let slot = 0; slot < directory.count; slot++) {
    const [offset, bytes] = [directory.nodeOffset(slot), directory.nodeBytes(slot)];
    const isLost = isLostEntry(directory, slot) && bytes === 0;
    const node = isLost ? '(lost)' : offset + bytes > BLOCK_BYTES ? '(outside the block)' : preview(nodeOf(page, slot));
    yield tableRow(SLOTS, [...[slot, directory.entryOffset(slot), offset, bytes].map(String), node]);
  }
}

const PREVIEW_BYTES = 48;

function preview(node: Uint8Array): string {
  let text = '';
  for (const byte of node.subarray(0, PREVIEW_BYTES)) {
    if (byte === 0x5c) text += '\\\\';
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return node.length > PREVIEW_BYTES ? `${text}…` : text;
}

export function* nodeDump(page: Page, blockId: number, slot: number): Generator<string> {
  const { directory } = page;
  const [offset, bytes] = [directory.nodeOffset(slot), directory.nodeBytes(slot)];
  const entry = fileOffset(blockId, directory.entryOffset(slot));
  yield `node ${blockId}:${slot}: ${bytes} bytes at byte ${fileOffset(blockId, offset)}, directory entry at byte ${entry}\n`;
  if (offset + bytes > BLOCK_BYTES) yield 'the node extends past the end of the block\n';
  yield* dumpRange(page.block, blockId, offset, Math.min(offset + bytes, BLOCK_BYTES), '');
}

/** @param commitNote - the state of a commit record */
export function* fileHeaderTable(block0: Uint8Array, commitNote: (record: CommitRecord) => string): Generator<string> {
  yield* fieldRows(FILE_HEADER_FIELDS, FILE_HEADER, block0);
  yield digestRow(block0);
  for (const offset of COMMIT_RECORD_OFFSETS) {
    const record = decodeCommitRecord(block0, offset);
    if (record === undefined) continue;
    const { sequence, block } = record;
    const note = `${block === 0 ? 'new blocks only' : `block ${block}`}; ${commitNote(record)}`;
    yield tableRow(FILE_HEADER_FIELDS, [String(offset), 'commit record', String(sequence), note]);
  }
  const id = fileIdIn(block0);
  const state = fileIdText(id) ?? fileIdState(id);
  yield tableRow(FILE_HEADER_FIELDS, [String(FILE_ID_OFFSET), 'file id', state, 'tells which file a journal is of']);
  const copy = [String(HEADER_COPY_OFFSET), 'header copy', headerCopyState(block0)];
  yield tableRow(FILE_HEADER_FIELDS, [...copy, 'backup of the file header and root descriptor']);
}

const DIGEST_NOTES: Readonly<Record<DigestKind, string>> = {
  absent: 'none; the next commit makes it',
  damaged: 'its checksum or fields are wrong',
  foreign: 'of another file header: another program has changed the file since',
  valid: 'of this file header',
};

/** Whether the page headers add up to it, only verify says. */
function digestRow(block0: Uint8Array): string {
  const { kind, state } = digestIn(block0);
  const notes = [DIGEST_NOTES[kind]];
  if (state) {
    notes.unshift(`commit ${state.commit}`);
    if (state.openFrom < state.openEnd) notes.push(`without blocks ${state.openFrom} to ${state.openEnd - 1}`);
  }
  const value = state ? hex(copyHash(state.sum).value, 16) : kind;
  return tableRow(FILE_HEADER_FIELDS, [String(DIGEST_OFFSET), 'digest', value, notes.join('; ')]);
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

export interface BlockRow {
  readonly block: number;
  readonly kind: 'V1 page' | 'V2 page' | 'free' | 'unwritten' | 'unknown' | 'cut off';
  readonly state?: 'open' | 'finalized' | 'uncounted';
  readonly nodes?: number;
  readonly nodeBytes?: number;
  readonly directoryBytes?: number;
  readonly freeBytes?: number;
  readonly checksum?: string;
  /** Code of the first error, otherwise of the first warning. */
  readonly problem?: string;
  /** For a free block: the next one in the list, 0 at its end. */
  readonly next?: number;
}

export function pageRow(page: Page, block: number): BlockRow {
  const { header, directory, format } = page;
  const directoryBytes = directory.end - directory.start;
  const nodeBytes = Math.max(0, Math.min(header.freeOffset, BLOCK_BYTES) - PAGE_HEADER_BYTES);
  const problem = new PageFacts(page, block).error?.code ?? firstWarning(page, block);
  return {
    block,
    kind: format === 'v1' ? 'V1 page' : 'V2 page',
    state: isFinalized(header) ? 'finalized' : 'open',
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

/** The headings without a row. */
export function blockTableRow(row?: BlockRow): string {
  if (row === undefined) return tableRow(BLOCKS);
  const { block, kind, state = '', nodes = '', nodeBytes = '', directoryBytes = '', freeBytes, next } = row;
  const fill = freeBytes === undefined ? '' : `${(100 * (1 - freeBytes / BLOCK_BYTES)).toFixed(1)}%`;
  const note = row.problem ?? (next === undefined ? '' : `next: ${next === 0 ? 'none' : next}`);
  const sizes = [nodes, nodeBytes, directoryBytes, freeBytes ?? ''];
  return tableRow(BLOCKS, [String(block), kind, state, ...sizes, fill, row.checksum ?? '', note]);
}
