import { assertBytes as assertUint8Array, assertWholeNumber, valueText, wrongType } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import type { FileHeader } from '../format/file-header.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset, firstU64, MAX_BLOCKS, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { pageFormatOf } from '../format/page-header.ts';
import type { Commit, ReplacedHead } from './commit-log.ts';
import type { Overwrite } from './journal.ts';

// TypeScript's checks again, at run time: a wrong argument of a DiskManager would damage the file.

/** What arguments are compared with. */
export interface OpenFile {
  readonly header: Readonly<FileHeader>;
  readonly blockCount: number;
  /** Blocks after the last one that are written completely. */
  readonly newBlocks: number;
}

export function assertCommit(commit: Commit, file: OpenFile): void {
  assertObject('commit: commit', commit);
  const { changed, added, firstFree, nodes = 0 } = commit;
  if (changed !== undefined) assertReplacedHead('commit', 'changed', changed, file);
  if (added !== undefined) {
    assertObject('commit: added', added);
    assertWholeNumber('commit', 'added.count', added.count, 1);
    assertWholeNumber('commit', 'added.headsCrc', added.headsCrc);
    if (added.count > file.newBlocks)
      throw new RangeError(`commit: added.count is ${added.count}, but only ${file.newBlocks} new blocks were written`);
  }
  if (!Number.isSafeInteger(nodes))
    throw new RangeError(`commit: nodes must be a whole number, not ${valueText(nodes)}`);
  const listHead = decodeFreeLink(file.header.freeListHead);
  if (changed?.isLink === true) {
    if (firstFree !== changed.block)
      throw new RangeError('commit: firstFree must be changed.block if changed.isLink is true');
    if (decodeFreeLink(firstU64(changed.head)) !== listHead)
      throw new RangeError(`commit: changed.head must begin with a link to the first free block, ${listHead}`);
    return;
  }
  if (changed) assertPageHead('commit: changed', changed);
  if (firstFree === undefined) return;
  // Other blocks leave the list only at its head, and the old bytes of that block have the link to the next one.
  if (changed?.block !== listHead || decodeFreeLink(firstU64(changed.oldHead)) !== firstFree)
    throw new RangeError(
      `commit: firstFree must be the block after changed.block on the free list, not ${valueText(firstFree)}`,
    );
}

export function assertReplacedHead(call: string, parameter: string, replaced: ReplacedHead, file: OpenFile): void {
  assertObject(`${call}: ${parameter}`, replaced);
  const { block, head, oldHead } = replaced;
  assertInFile(call, `${parameter}.block`, block, file);
  assertBytes(call, `${parameter}.head`, head, PAGE_HEADER_BYTES);
  assertBytes(call, `${parameter}.oldHead`, oldHead, PAGE_HEADER_BYTES);
}

export function assertOverwrite(change: Overwrite, file: OpenFile): void {
  assertObject('overwrite: change', change);
  assertObject('overwrite: change.changed', change.changed);
  const {
    block,
    image,
    bytes,
    changed: { start, end },
    head,
  } = change;
  assertInFile('overwrite', 'block', block, file);
  assertBytes('overwrite', 'image', image, BLOCK_BYTES);
  assertBytes('overwrite', 'head', head, PAGE_HEADER_BYTES);
  assertWholeNumber('overwrite', 'changed.start', start, PAGE_HEADER_BYTES);
  assertWholeNumber('overwrite', 'changed.end', end, start);
  if (end > BLOCK_BYTES) throw new RangeError(`overwrite: changed.end must be at most ${BLOCK_BYTES}, not ${end}`);
  assertBytes('overwrite', 'bytes', bytes, end - start);
}

function assertInFile(call: string, parameter: string, block: number, { blockCount }: OpenFile): void {
  if (Number.isInteger(block) && block >= 1 && block < blockCount) return;
  const range = `from 1 to ${blockCount - 1}`;
  throw new RangeError(`${call}: ${parameter} must be a block of the file, ${range}, not ${valueText(block)}`);
}

/** @throws TypeError unless `bytes` is a Uint8Array with its memory; RangeError unless it has this length */
export function assertBytes(call: string, parameter: string, bytes: Uint8Array, length?: number): void {
  assertUint8Array(call, parameter, bytes);
  if (length !== undefined && bytes.length !== length)
    throw new RangeError(`${call}: ${parameter} must have ${length} bytes, not ${bytes.length}`);
}

function assertObject(parameter: string, value: unknown): void {
  // Not arrays and buffers, which have none of the fields.
  if (Object.prototype.toString.call(value) !== '[object Object]') throw wrongType(parameter, 'an object', value);
}

export function assertFunction(parameter: string, value: unknown): void {
  if (typeof value !== 'function') throw wrongType(parameter, 'a function', value);
}

export function assertPageHead(parameter: string, { head }: ReplacedHead): void {
  if (pageFormatOf(head) === undefined) throw new RangeError(`${parameter}.head must be a page header`);
}

export function assertInBlock(call: string, parameter: string, bytes: Uint8Array, offset: number): void {
  assertBytes(call, parameter, bytes);
  assertWholeNumber(call, 'offset', offset);
  if (offset + bytes.length <= BLOCK_BYTES) return;
  const range = `the ${bytes.length} bytes of ${parameter} at offset ${offset}`;
  throw new RangeError(`${call}: ${range} go past the end of the block, which has ${BLOCK_BYTES} bytes`);
}

/** @throws {@link PageStoreError} `FILE_FULL` */
export function assertCountable(file: string, block: number): void {
  if (block < MAX_BLOCKS) return;
  const message = `the file would have more than ${MAX_BLOCKS} blocks, the limit of the format`;
  throw new PageStoreError('FILE_FULL', message, { file });
}

export function noBlockError(file: string, { header, blockCount }: OpenFile, block: number): PageStoreError {
  const counted = header.blockCount;
  if (block >= 1 && block < counted) {
    const message = `block ${block} is missing: the header counts ${counted} blocks, but the file ends before it`;
    return new PageStoreError('BLOCK_COUNT_BEYOND_FILE', message, { file, block, offset: fileOffset(block) });
  }
  const range =
    blockCount < 2 ? 'the file has only block 0, the header' : `the pages are in blocks 1 to ${blockCount - 1}`;
  return new PageStoreError('BLOCK_RANGE', `block ${block} does not exist: ${range}`, { file, block });
}
