import { readBuffer } from '../bytes/buffer.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import type { BlockSet } from '../disk/free-list.ts';
import { problemError } from '../disk/page-file.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import { examinePage, type PageFacts } from '../format/page-checks.ts';
import { orphanedBytes, type Page } from '../format/page.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { isUnwritten, unknownBlockError, zeroedPageProblem } from '../store/page-reader.ts';

/** What a block holds. A page has no errors. */
export type BlockContent =
  | { readonly kind: 'page'; readonly page: Page }
  | { readonly kind: 'free' | 'unwritten' }
  | { readonly kind: 'damaged'; readonly error: PageStoreError };

const FREE: BlockContent = { kind: 'free' };
const UNWRITTEN: BlockContent = { kind: 'unwritten' };

/** Memory for one block and the directory of its page. */
class BlockMemory {
  readonly bytes: Uint8Array = readBuffer(BLOCK_BYTES);
  readonly scratch: DirectoryScratch = new DirectoryScratch();
}

/**
 * Reads the blocks of a file in order, each once, and one ahead: the system reads the next block while the caller uses the
 * current one. Free blocks are not read. A page is valid until the block after it is requested.
 */
export class BlockWalk {
  readonly #disk: DiskManager;
  readonly #free: BlockSet;
  /** For blocks with an even and with an odd id. */
  readonly #memory: readonly [BlockMemory, BlockMemory] = [new BlockMemory(), new BlockMemory()];
  #block = 0;
  #ahead: Promise<BlockContent> | undefined;

  constructor(disk: DiskManager, free: BlockSet) {
    this.#disk = disk;
    this.#free = free;
  }

  /** The block that `next` returned last. */
  get block(): number {
    return this.#block;
  }

  /** Blocks of the file, including block 0. */
  get blockCount(): number {
    return this.#disk.blockCount;
  }

  /** @returns the content of the next block, undefined after the last. @throws {@link PageStoreError} `IO` */
  async next(): Promise<BlockContent | undefined> {
    const content = await (this.#ahead ?? this.#start(this.#block + 1));
    if (content === undefined) return undefined;
    this.#block++;
    this.#ahead = this.#start(this.#block + 1);
    // The call that asks for this block gets its error. If there is no such call, nobody needs it.
    this.#ahead?.catch(() => undefined);
    return content;
  }

  /** Waits for the read ahead, after which the file may be closed. */
  async end(): Promise<void> {
    await this.#ahead?.catch(() => undefined);
  }

  #start(block: number): Promise<BlockContent> | undefined {
    return block < this.#disk.blockCount ? this.#read(block) : undefined;
  }

  async #read(block: number): Promise<BlockContent> {
    if (this.#free.has(block)) return FREE;
    const { bytes, scratch } = this.#memory[(block & 1) as 0 | 1];
    const read: { facts?: PageFacts | undefined } = {};
    await this.#disk.readStable(block, bytes, () => {
      read.facts = examinePage(bytes, block, scratch);
      return read.facts ? read.facts.error === undefined : isUnwritten(bytes);
    });
    const { facts } = read;
    if (facts?.error) return { kind: 'damaged', error: problemError(this.#disk, facts.error) };
    if (facts) return { kind: 'page', page: facts.page };
    if (!isUnwritten(bytes)) return { kind: 'damaged', error: unknownBlockError(this.#disk, block, bytes) };
    const problem = await zeroedPageProblem(this.#disk, block, bytes, scratch);
    return problem ? { kind: 'damaged', error: problemError(this.#disk, problem) } : UNWRITTEN;
  }
}

/** The error for a V2 page that was never finalized: without a directory its nodes cannot be separated. */
export function noDirectoryError(disk: DiskManager, page: Page, block: number): PageStoreError | undefined {
  const bytes = orphanedBytes(page);
  if (bytes === 0) return undefined;
  const message = `page ${block} has ${bytes} node bytes and no directory: it was never finalized, so the bounds of its nodes are unknown`;
  const detail = { file: disk.name, block, offset: fileOffset(block) };
  return new PageStoreError('NODES_WITHOUT_DIRECTORY', message, detail);
}
