import { readBuffer } from '../bytes/buffer.ts';
import type { BlockFile } from '../disk/block-file.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import type { BlockSet } from '../disk/free-list.ts';
import { problemError, refuseHeader, refuseToWrite } from '../disk/refusal.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import { firstPageError } from '../format/page-checks.ts';
import { decodePage, orphanedBytes, type Page } from '../format/page.ts';
import { hex, type Problem } from '../format/problem.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { isUnwritten, zeroedPageProblem } from '../store/page-reader.ts';

/** What a block holds: a page without errors, or what stands in its place. */
export type BlockContent =
  | { readonly kind: 'page'; readonly page: Page }
  | { readonly kind: 'free' | 'unwritten' }
  | { readonly kind: 'damaged'; readonly error: PageStoreError };

const FREE: BlockContent = { kind: 'free' };
const UNWRITTEN: BlockContent = { kind: 'unwritten' };

/** Memory for one block and the directory of the page in it. */
class Lane {
  readonly target: Uint8Array = readBuffer(BLOCK_BYTES);
  readonly scratch: DirectoryScratch = new DirectoryScratch();
}

/**
 * Reads the blocks of a file in their order, each once and one ahead: while one is looked at, the system fetches the next.
 * Blocks on the free list are not read. A page is valid until the next block has been asked for.
 */
export class BlockWalk {
  readonly #disk: DiskManager;
  readonly #free: BlockSet;
  readonly #lanes: readonly [Lane, Lane] = [new Lane(), new Lane()];
  #block = 0;
  #ahead: Promise<BlockContent> | undefined;

  constructor(disk: DiskManager, free: BlockSet) {
    this.#disk = disk;
    this.#free = free;
  }

  /** The block that was read last. */
  get block(): number {
    return this.#block;
  }

  /** Blocks of the file, block 0 counted. */
  get blockCount(): number {
    return this.#disk.blockCount;
  }

  /** The content of the next block, undefined behind the last one. @throws {@link PageStoreError} `IO` */
  async next(): Promise<BlockContent | undefined> {
    const content = await (this.#ahead ?? this.#start(this.#block + 1));
    if (content === undefined) return undefined;
    this.#block++;
    this.#ahead = this.#start(this.#block + 1);
    // Whoever asks for that block hears of its failure; nobody may.
    this.#ahead?.catch(() => undefined);
    return content;
  }

  /** Waits for what is being read: afterwards the file may be closed. */
  async end(): Promise<void> {
    await this.#ahead?.catch(() => undefined);
  }

  #start(block: number): Promise<BlockContent> | undefined {
    return block < this.#disk.blockCount ? this.#read(block) : undefined;
  }

  async #read(block: number): Promise<BlockContent> {
    if (this.#free.has(block)) return FREE;
    const { target, scratch } = this.#lanes[(block & 1) as 0 | 1];
    const found: { page?: Page | undefined; problem?: Problem | undefined } = {};
    await this.#disk.readSettled(block, target, () => {
      found.page = decodePage(target, scratch);
      found.problem = found.page && firstPageError(found.page, block);
      return found.page ? found.problem === undefined : isUnwritten(target);
    });
    if (found.problem) return { kind: 'damaged', error: problemError(this.#disk, found.problem) };
    if (found.page) return { kind: 'page', page: found.page };
    if (!isUnwritten(target)) return { kind: 'damaged', error: unknownBlock(this.#disk, block, target) };
    const problem = await zeroedPageProblem(this.#disk, block, target, scratch);
    return problem ? { kind: 'damaged', error: problemError(this.#disk, problem) } : UNWRITTEN;
  }
}

function unknownBlock(disk: DiskManager, block: number, bytes: Uint8Array): PageStoreError {
  const found = hex(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true), 16);
  const message = `block ${block} is neither a page nor on the free list: it begins with ${found}`;
  return new PageStoreError('BLOCK_UNKNOWN', message, { file: disk.name, block, offset: fileOffset(block), found });
}

/**
 * Refuses a file of which a copy of the nodes would not be all of it, for what its headers say.
 * @param file - that of `disk`
 * @throws {@link PageStoreError} `FILE_HAS_TRIE`, and the codes for which a writer is refused a file
 */
export async function assertSound(disk: DiskManager, file: BlockFile): Promise<void> {
  // A reader puts up with a block count that cannot be trusted; whoever replaces a file by a copy must not.
  refuseHeader(file, disk.header, 'write');
  await refuseToWrite(file, disk.header, await file.size());
  if (disk.header.rootPointer === 0n) return;
  const message =
    'the file holds a trie (its root pointer is set): compacting moves nodes, and pointers to them would have to be rewritten, which this version cannot do';
  throw new PageStoreError('FILE_HAS_TRIE', message, { file: disk.name });
}

/** What is wrong with a page of which the nodes cannot be told apart: a V2 page that was never finalized. */
export function noDirectoryError(disk: DiskManager, page: Page, block: number): PageStoreError | undefined {
  const bytes = orphanedBytes(page);
  if (bytes === 0) return undefined;
  const message = `page ${block} has ${bytes} node bytes and no directory: it was never finalized, and where each node begins is not known`;
  const detail = { file: disk.name, block, offset: fileOffset(block) };
  return new PageStoreError('NODES_WITHOUT_DIRECTORY', message, detail);
}
