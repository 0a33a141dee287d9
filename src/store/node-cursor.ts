import type { DiskManager } from '../disk/disk-manager.ts';
import type { SlotDirectory } from '../format/directory.ts';
import type { Page } from '../format/page.ts';
import { soundPages } from './page-reader.ts';

const NO_BYTES = new Uint8Array(0);

/**
 * Goes over all nodes of a file, in the order of their blocks and slots, without an object for each:
 *
 * ```ts
 * while (await cursor.nextPage()) while (cursor.next()) use(cursor.bytes, cursor.start, cursor.end);
 * ```
 *
 * It keeps one page in memory, which the next one takes the place of: a call of `nextPage` is awaited before the next.
 */
export class NodeCursor {
  readonly #pages: AsyncGenerator<{ block: number; page: Page }>;
  #directory: SlotDirectory | undefined;
  #count = 0;
  #block = 0;
  #slot = -1;
  #start = 0;
  #end = 0;
  #bytes: Uint8Array = NO_BYTES;

  /** Of a store: see `PageStore.cursor`. */
  constructor(disk: DiskManager) {
    this.#pages = soundPages(disk);
  }

  /**
   * Reads the next page and checks all of it. The cursor is before the first node of the page then; that may have none.
   * @returns false, where there is no further page
   * @throws {@link PageStoreError} as `PageStore.pages`; then it is at its end
   */
  async nextPage(): Promise<boolean> {
    this.#count = 0;
    const { value, done } = await this.#pages.next();
    if (done === true) return false;
    const { block, page } = value;
    this.#block = block;
    this.#bytes = page.block;
    this.#directory = page.directory;
    this.#count = page.directory.count;
    this.#slot = -1;
    return true;
  }

  /** Goes to the next node of the page. @returns false, where the page has no further node: the cursor stays where it is */
  next(): boolean {
    const slot = this.#slot + 1;
    const directory = this.#directory;
    if (slot >= this.#count || directory === undefined) return false;
    this.#slot = slot;
    this.#start = directory.nodeOffset(slot);
    this.#end = this.#start + directory.nodeBytes(slot);
    return true;
  }

  /** The block that the cursor is in. */
  get block(): number {
    return this.#block;
  }

  /** The slot of the node that the cursor is at. */
  get slot(): number {
    return this.#slot;
  }

  /** The 262,144 bytes of the block; not to be changed, and valid until `nextPage` is called. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where the node begins in {@link bytes}. */
  get start(): number {
    return this.#start;
  }

  /** Where the node ends in {@link bytes}. */
  get end(): number {
    return this.#end;
  }
}
