import { nodeOf, type Page } from '../format/page.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import { fieldText } from '../format/regions.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import { dumpRange } from './hexdump.ts';
import { type Column, preview, tableRow } from './table.ts';

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
