import type { DiskManager } from '../disk/disk-manager.ts';
import type { Page } from '../format/page.ts';
import { assertBlockId, assertRef } from './arguments.ts';
import { NodeCursor } from './node-cursor.ts';
import type { NodeReader } from './node-reader.ts';
import { soundPages } from './page-reader.ts';
import type { PageRef } from './page-ref.ts';

/** What can be read of a page file: the part of a {@link PageStore} that writes nothing. */
export abstract class ReadableStore {
  /** The blocks below the pages. Its writing methods are the store's to call. */
  readonly disk: DiskManager;
  readonly #reader: NodeReader;

  /** @param reader - of the same disk; who writes tells it what has changed */
  protected constructor(disk: DiskManager, reader: NodeReader) {
    this.disk = disk;
    this.#reader = reader;
  }

  /**
   * Reads one node. In a file opened for reading that may also be one that a writer has committed since.
   * @returns a copy of its bytes
   * @throws {@link PageStoreError} `SLOT_RANGE`, `BLOCK_RANGE`, `BLOCK_FREE`, `IO`, and the code of what is wrong with the page
   */
  async read(ref: PageRef): Promise<Uint8Array> {
    return (await this.view(ref)).slice();
  }

  /**
   * As {@link read}, without a copy.
   * @returns a view of the page that the node is on: not to be changed. It stays as it is, and keeps 256 KiB in memory
   */
  async view(ref: PageRef): Promise<Uint8Array> {
    assertRef(ref);
    return this.#reader.view(ref);
  }

  /**
   * Reads one node at once, where its page was read and checked before, and is kept: see `cacheBytes` in {@link OpenOptions}.
   * @returns a copy of its bytes; nothing where that is for {@link read} to find out
   */
  tryRead(ref: PageRef): Uint8Array | undefined {
    return this.#reader.tryRead(ref);
  }

  /** As {@link tryRead}, without a copy: see {@link view}. */
  tryView(ref: PageRef): Uint8Array | undefined {
    return this.#reader.tryView(ref);
  }

  /** A cursor before the first node, over all pages: the fastest way to look at every node. It shares nothing with other calls. */
  cursor(): NodeCursor {
    return new NodeCursor(this.disk);
  }

  /**
   * Reads one page, or gives the one that is kept. The page that was given does not change, even when its block does.
   * @throws {@link PageStoreError} as {@link read}
   */
  async readPage(block: number): Promise<Page> {
    assertBlockId(block);
    return this.#reader.readPage(block);
  }

  /** Reads all pages in the order of their blocks. A page is valid until the next one is asked for. */
  pages(): AsyncGenerator<{ block: number; page: Page }> {
    return soundPages(this.disk);
  }
}
