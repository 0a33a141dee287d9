import { readBuffer } from '../bytes/buffer.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import type { ReplacedHead } from '../disk/commit-log.ts';
import { problemError } from '../disk/refusal.ts';
import { PageStoreError } from '../errors.ts';
import { sealPage } from '../format/page.ts';
import { BLOCK_BYTES, PAGE_HEADER_BYTES } from '../format/layout.ts';
import type { Page } from '../format/page.ts';
import { PAGE_FLAG } from '../format/page-header.ts';
import { pageProblems } from '../format/page-checks.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { readSoundPage } from './page-reader.ts';

/** Pages whose headers are written between two syncs. */
const PAGES_PER_COMMIT = 256;

/** What became of a page that was to be sealed. */
export interface FinalizedPage {
  readonly block: number;
  readonly outcome: 'sealed' | 'was sealed' | 'damaged';
  readonly nodes: number;
  /** Why a damaged page was not sealed: its new checksum would cover the damage. */
  readonly error?: PageStoreError;
}

/** Hears of each page once what became of it is durable. */
export type FinalizedPageSink = (page: FinalizedPage) => void | Promise<void>;

/** Seals pages in groups, and tells of each group when it is durable. */
export class Finalizer {
  readonly #disk: DiskManager;
  readonly #report: FinalizedPageSink;
  readonly #target = readBuffer(BLOCK_BYTES);
  readonly #scratch = new DirectoryScratch();
  #heads: ReplacedHead[] = [];
  #pages: FinalizedPage[] = [];

  constructor(disk: DiskManager, report: FinalizedPageSink) {
    this.#disk = disk;
    this.#report = report;
  }

  /**
   * @param blocks - which; by default all, where free blocks and those never written are passed over
   * @param signal - stops it between two pages: what was sealed before is durable and reported
   */
  async run(blocks: readonly number[] | undefined, signal: AbortSignal | undefined): Promise<void> {
    // A directory may be moved to where one was that only an older header names.
    await this.#disk.settle();
    try {
      for (const block of blocks ? new Set(blocks) : blockIds(this.#disk.header.blockCount)) {
        signal?.throwIfAborted();
        await this.#seal(block, blocks === undefined);
        if (this.#pages.length >= PAGES_PER_COMMIT) await this.#commit();
      }
    } catch (error) {
      // A block that cannot be sealed must not keep those named before it from being sealed.
      if (!(error instanceof PageStoreError && error.code === 'IO')) await this.#commit();
      throw error;
    }
    await this.#commit();
  }

  async #seal(block: number, passOverFree: boolean): Promise<void> {
    try {
      const page = await readSoundPage(this.#disk, block, this.#target, this.#scratch);
      const nodes = page.directory.count;
      if ((page.header.flags & PAGE_FLAG.finalized) !== 0) {
        this.#pages.push({ block, outcome: 'was sealed', nodes });
        return;
      }
      refuseOrphans(this.#disk, page, block);
      const { head, written } = sealPage(page);
      if (written) await this.#disk.write(block, this.#target.subarray(written.start, written.end), written.start);
      this.#heads.push({ block, head, oldHead: this.#target.slice(0, PAGE_HEADER_BYTES) });
      this.#pages.push({ block, outcome: 'sealed', nodes });
    } catch (error) {
      if (!(error instanceof PageStoreError) || error.code === 'IO' || error.code === 'BLOCK_RANGE') throw error;
      if (error.code === 'BLOCK_FREE' && passOverFree) return;
      if (error.code === 'BLOCK_FREE') throw error;
      this.#pages.push({ block, outcome: 'damaged', nodes: 0, error });
    }
  }

  async #commit(): Promise<void> {
    const [heads, pages] = [this.#heads, this.#pages];
    this.#heads = [];
    this.#pages = [];
    if (heads.length > 0) await this.#disk.commitHeads(heads);
    for (const page of pages) await this.#report(page);
  }
}

/** A page with node bytes and no directory may still be mended by the program that wrote it; sealed, it never would be. */
function refuseOrphans(disk: DiskManager, page: Page, block: number): void {
  for (const problem of pageProblems(page, block)) {
    if (problem.code === 'NODES_WITHOUT_DIRECTORY') throw problemError(disk, problem);
  }
}

function* blockIds(blockCount: number): Generator<number> {
  for (let block = 1; block < blockCount; block++) yield block;
}
