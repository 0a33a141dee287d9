import { isZero } from '../bytes/buffer.ts';
import { Hash64 } from '../bytes/checksum.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import { problemError } from '../disk/page-file.ts';
import { PageStoreError } from '../errors.ts';
import { addHead } from '../format/digest.ts';
import { BLOCK_BYTES, fileOffset, firstU64 } from '../format/layout.ts';
import { commitOf } from '../format/page-header.ts';
import type { Problem } from '../format/problem.ts';

/** Whether a block begins with 8 zero bytes: it was allocated and never written, or it is the end of the free list. */
export function isUnwritten(block: Uint8Array): boolean {
  return firstU64(block) === 0n;
}

/** One of them can be the end of the free list, whose link is 0. */
const ZEROED_BLOCKS = 2;

/** For readers that promise all nodes: notices at the end of a scan that pages are missing. */
export class FullScan {
  readonly #disk: DiskManager;
  readonly #sum = new Hash64();
  /** Highest commit number in a page. */
  #commit = 0;
  /** The first blocks that begin with 8 zero bytes, and are not zeros. */
  readonly #zeroed: number[] = [];

  constructor(disk: DiskManager) {
    this.#disk = disk;
  }

  /** Adds a block, in any order. @param bytes - its 262,144 bytes */
  add(block: number, bytes: Uint8Array): void {
    addHead(this.#sum, block, bytes);
    this.#commit = Math.max(this.#commit, commitOf(bytes));
    if (!isUnwritten(bytes) || this.#zeroed.length === ZEROED_BLOCKS || isZero(bytes)) return;
    this.#zeroed.push(block);
  }

  /** Adds a free block. @param head - its first 64 bytes */
  addFree(block: number, head: Uint8Array): void {
    addHead(this.#sum, block, head);
  }

  /**
   * To be called after the last block.
   * @throws {@link PageStoreError} `PAGES_DIGEST`, `FILE_HEADER_OLD`; in a file without a digest `BLOCK_UNWRITTEN` for a block that
   * may be a page without its beginning, and the codes of a damaged free list; `IO`
   */
  async end(): Promise<void> {
    const disk = this.#disk;
    if ((await disk.assertAllPages({ sum: this.#sum, commit: this.#commit })) || this.#zeroed.length === 0) return;
    const free = await disk.freeBlocks();
    for (const block of this.#zeroed) {
      // If the list changed meanwhile, the block may have been free.
      if (!free.has(block) && !(await disk.refresh())) throw problemError(disk, zeroedBlockProblem(block));
    }
  }
}

function zeroedBlockProblem(block: number): Problem {
  const message = `block ${block} starts with 8 zero bytes, but is neither empty nor free: a page that lost its header, or taken from the free list and never written`;
  const range = { block, offset: fileOffset(block), bytes: BLOCK_BYTES };
  return { code: 'BLOCK_UNWRITTEN', severity: 'error', ...range, message };
}

/** The error that a scan ends with because pages are missing; undefined if it failed for another reason. */
export function missingPagesError(error: unknown): PageStoreError | undefined {
  return error instanceof PageStoreError && error.code !== 'IO' && error.code !== 'FILE_CLOSED' ? error : undefined;
}
