import { counted } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';
import type { FileHeader } from '../format/file-header.ts';
import { fileHeaderProblems, fileSizeProblems, freeListHeadProblems, type Problem } from '../format/problem.ts';
import { fileOffset, MAX_BLOCKS, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { PAGE_FLAG, PAGE_HEADER, pageFormatOf } from '../format/page-header.ts';
import type { BlockFile } from './block-file.ts';
import type { Access } from './node-block-file.ts';

/** The error that refuses a file for a problem found in it. */
export function problemError(file: { readonly name: string }, problem: Problem): PageStoreError {
  const { code, message, severity: _, ...detail } = problem;
  return new PageStoreError(code, message, { file: file.name, ...detail });
}

/**
 * Refuses a header: to a reader for its magic and version, to a writer for everything that is wrong in it. A
 * writer would cover the damage with a new checksum.
 */
export function refuseHeader(file: BlockFile, header: FileHeader, access: Access): void {
  for (const problem of fileHeaderProblems(header)) {
    const unreadable = problem.code === 'FILE_HEADER_MAGIC' || problem.code === 'FILE_HEADER_VERSION';
    if (access === 'write' || unreadable) throw problemError(file, problem);
  }
}

/**
 * Refuses a file to a writer where its size or its free-list head is wrong, or where pages of another program
 * stand behind its block count: that program may count them by the file's size.
 */
export async function refuseToWrite(file: BlockFile, header: FileHeader, fileBytes: number): Promise<void> {
  for (const problem of fileSizeProblems(header, fileBytes)) {
    if (problem.severity === 'error') throw problemError(file, problem);
  }
  for (const problem of freeListHeadProblems(header, header.blockCount)) throw problemError(file, problem);

  const foreign = await foreignBlockBehind(file, header.blockCount, fileBytes);
  if (foreign) throw problemError(file, foreign);
}

/**
 * The first page of another program behind the last block that the header counts, if there is one.
 * @param signal - ends the search: it rejects with the signal's reason
 */
export async function foreignBlockBehind(
  file: BlockFile,
  blockCount: number,
  fileBytes: number,
  signal?: AbortSignal,
): Promise<Problem | undefined> {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  for (let block = blockCount; fileOffset(block + 1) <= fileBytes; block++) {
    signal?.throwIfAborted();
    await file.read(head, fileOffset(block));
    // What is left behind the last block when a batch of ours is cut off has a checksum, or is no page at all.
    if (pageFormatOf(head) === undefined || (PAGE_HEADER.read(head).flags & PAGE_FLAG.hasChecksum) !== 0) continue;
    const message = `block ${block} is a page of another program, behind the ${counted(blockCount, 'block')} that the header counts; let that program sync the file first`;
    const place = { block, offset: fileOffset(block), bytes: PAGE_HEADER_BYTES };
    return { code: 'BLOCKS_UNCOUNTED', severity: 'error', ...place, message };
  }
  return undefined;
}

/** @throws {@link PageStoreError} `FILE_FULL` for a block that no header can count */
export function assertCountable(file: { readonly name: string }, block: number): void {
  if (block < MAX_BLOCKS) return;
  const message = `the file has ${MAX_BLOCKS} blocks, the most that the format can count`;
  throw new PageStoreError('FILE_FULL', message, { file: file.name });
}

/**
 * The error for a block that cannot be had: `BLOCK_COUNT_BEYOND_FILE` where the header counts it and the file ends
 * before, else `BLOCK_RANGE`.
 * @param blocks - blocks that are there
 * @param countedBlocks - blocks that the header counts
 */
export function noBlockError(
  file: { readonly name: string },
  block: number,
  blocks: number,
  countedBlocks: number,
): PageStoreError {
  if (block >= 1 && block < countedBlocks) {
    const message = `block ${block} is missing: the header counts ${countedBlocks} blocks, and the file ends before`;
    return new PageStoreError('BLOCK_COUNT_BEYOND_FILE', message, {
      file: file.name,
      block,
      offset: fileOffset(block),
    });
  }
  const last = blocks - 1;
  const range =
    last < 1 ? 'the file has block 0 alone, the file header' : `the file has blocks 1 to ${last} behind its header`;
  return new PageStoreError('BLOCK_RANGE', `there is no page in block ${block}: ${range}`, { file: file.name, block });
}
