import type { ProblemCode } from '../errors.ts';
import { FILE_HEADER, type FileHeader, ROOT_DESCRIPTOR } from './file-header.ts';
import { rootDescriptorFieldRange } from './header-checks.ts';
import { decodeFreeLink, decodePointer, ROOT_DESCRIPTOR_OFFSET } from './layout.ts';
import { pageFieldRange } from './page-checks.ts';
import { PAGE_MAGIC } from './page-header.ts';
import { hex, type Problem } from './problem.ts';

/**
 * What libdictenstein needs of a file with a trie. Its arenas are blocks 1 to `arenaCount`, V1 pages; the next block that it
 * gets has to be that of the next arena. Where that is not so it opens the file without an error, and reads other terms.
 */

const CODES: ReadonlySet<ProblemCode> = new Set([
  'TRIE_ARENA_COUNT',
  'TRIE_BLOCK_COUNT',
  'TRIE_FREE_BLOCKS',
  'TRIE_PAGE_FORMAT',
]);

/** Whether a problem is only one for a trie: every block is as a commit left it. */
export const isOfTrie = ({ code }: Pick<Problem, 'code'>): boolean => CODES.has(code);

/** Whether the root pointer leads to the root descriptor, so that the program takes the file for a trie. */
export function hasTrie({ rootPointer }: Pick<FileHeader, 'rootPointer'>): boolean {
  const { inMemory, block, slot } = decodePointer(rootPointer);
  return rootPointer !== 0n && !inMemory && block === 0 && slot === ROOT_DESCRIPTOR_OFFSET;
}

/** @param block0 - the block that begins with the header */
export function* trieProblems(header: FileHeader, block0: Uint8Array): Generator<Problem> {
  if (!hasTrie(header)) return;
  const { blockCount, freeListHead } = header;
  const { rootType, arenaCount, rootRecord } = ROOT_DESCRIPTOR.read(block0, ROOT_DESCRIPTOR_OFFSET);
  const root = decodePointer(rootRecord);
  const hasRoot = (rootType === 1 || rootType === 2) && !root.inMemory && root.block < blockCount;
  if (hasRoot && arenaCount < root.block) {
    const [found, expected] = [String(arenaCount), `at least ${root.block}`];
    const message = `root descriptor: arenaCount is ${arenaCount}, and the root record is in arena ${root.block - 1}: libdictenstein opens the file as an empty trie, without an error`;
    const range = rootDescriptorFieldRange('arenaCount');
    yield { code: 'TRIE_ARENA_COUNT', severity: 'error', ...range, found, expected, message };
  }
  // A count that is too low is one of ROOT_DESCRIPTOR.
  if (blockCount > arenaCount + 1) {
    const message = `the header counts ${blockCount} blocks, and the trie has ${arenaCount} ${arenaCount === 1 ? 'arena' : 'arenas'}: libdictenstein takes block ${blockCount} for arena ${arenaCount}, which it looks for in block ${arenaCount + 1}, so it reads other terms after its next checkpoint, without an error`;
    yield headerProblem('TRIE_BLOCK_COUNT', 'blockCount', String(blockCount), String(arenaCount + 1), message);
  }
  if (freeListHead !== 0n) {
    const first = decodeFreeLink(freeListHead);
    const message = `block ${first} is free, in a file with a trie: libdictenstein takes it for its next arena, which it looks for in block ${arenaCount + 1}, so it reads other terms after its next checkpoint, without an error`;
    yield headerProblem('TRIE_FREE_BLOCKS', 'freeListHead', hex(freeListHead, 16), 'no free block', message);
  }
}

function headerProblem(
  code: ProblemCode,
  field: keyof FileHeader,
  found: string,
  expected: string,
  message: string,
): Problem {
  const range = { block: 0, offset: FILE_HEADER.offsets[field], bytes: FILE_HEADER.bytesOf(field) };
  return { code, severity: 'error', ...range, found, expected, message };
}

/** The problem of a V2 page in a file with a trie. */
export function triePageProblem(block: number): Problem {
  const [found, expected] = [hex(PAGE_MAGIC.v2, 16), hex(PAGE_MAGIC.v1, 16)];
  const message = `page ${block}: a V2 page in a file with a trie: libdictenstein takes it for V1 and finds no node in it, so it opens the trie empty or without the terms in it, without an error`;
  return { code: 'TRIE_PAGE_FORMAT', severity: 'error', ...pageFieldRange(block, 'magic'), found, expected, message };
}
