import type { PageStoreError } from '../errors.ts';
import type { Page } from '../format/page.ts';
import type { ComparedFile } from './compared-file.ts';
import type { DifferenceLog } from './difference.ts';
import { NodeWindow } from './node-window.ts';
import { noDirectoryError } from './source-check.ts';

/**
 * The nodes of a file in the order of blocks and slots. The next ones are in a window of copies, where some have been put
 * there, and else in the page at hand: {@link NodeStream.left} of them can be looked at where they are.
 */
export class NodeStream {
  readonly window: NodeWindow = new NodeWindow();
  readonly #file: ComparedFile;
  readonly #name: 'a' | 'b';
  readonly #log: DifferenceLog;
  readonly #onBlock: () => Promise<void>;
  #page: Page | undefined;
  #slot = 0;
  #isEnd = false;
  #position = 0;

  constructor(file: ComparedFile, name: 'a' | 'b', log: DifferenceLog, onBlock: () => Promise<void>) {
    this.#file = file;
    this.#name = name;
    this.#log = log;
    this.#onBlock = onBlock;
  }

  /** Nodes that it has gone past. */
  get position(): number {
    return this.#position;
  }

  /** Whether no nodes come behind those of the window. */
  get isEnd(): boolean {
    return this.#isEnd;
  }

  /** The page at hand, if all its nodes come next. */
  get wholePage(): Page | undefined {
    return this.#slot === 0 && this.window.count === 0 ? this.#page : undefined;
  }

  /** Nodes that can be looked at. */
  get left(): number {
    return this.window.count > 0 ? this.window.count : this.#leftInPage;
  }

  /** Where their bytes are. */
  get source(): Uint8Array {
    return this.window.count > 0 || !this.#page ? this.window.bytes : this.#page.block;
  }

  /** @param index - 0 for the next node, below {@link NodeStream.left} */
  nodeOffset(index: number): number {
    return this.window.count > 0 || !this.#page
      ? this.window.nodeOffset(index)
      : this.#page.directory.nodeOffset(this.#slot + index);
  }

  nodeBytes(index: number): number {
    return this.window.count > 0 || !this.#page
      ? this.window.nodeBytes(index)
      : this.#page.directory.nodeBytes(this.#slot + index);
  }

  block(index: number): number {
    return this.window.count > 0 ? this.window.block(index) : this.#file.walk.block;
  }

  slot(index: number): number {
    return this.window.count > 0 ? this.window.slot(index) : this.#slot + index;
  }

  /** Goes past nodes that can be looked at. */
  skip(nodes: number): void {
    this.#position += nodes;
    if (this.window.count > 0) this.window.drop(nodes);
    else this.#slot += nodes;
  }

  /** Sees to it that a node can be looked at. @returns false where none is left */
  async ready(): Promise<boolean> {
    return this.left > 0 || this.#nextPage();
  }

  /** Puts nodes into the window until it has so many, is full, or none are left. */
  async fill(nodes: number): Promise<void> {
    if (this.window.count >= nodes) return;
    this.window.compact();
    while (this.window.count < nodes) {
      if (this.#leftInPage === 0 && !(await this.#nextPage())) return;
      if (!this.#fillFromPage(nodes)) return;
    }
  }

  get #leftInPage(): number {
    return this.#page === undefined ? 0 : this.#page.directory.count - this.#slot;
  }

  /** @returns false where the window is full */
  #fillFromPage(nodes: number): boolean {
    if (this.#page === undefined) return true;
    const { directory, block } = this.#page;
    for (; this.window.count < nodes && this.#slot < directory.count; this.#slot++) {
      const start = directory.nodeOffset(this.#slot);
      const end = start + directory.nodeBytes(this.#slot);
      if (!this.window.add(block, start, end, this.#file.walk.block, this.#slot)) return false;
    }
    return true;
  }

  /** Takes the next page that has nodes. @returns false where there is none */
  async #nextPage(): Promise<boolean> {
    const { walk, disk } = this.#file;
    this.#page = undefined;
    this.#slot = 0;
    while (!this.#isEnd) {
      const content = await walk.next();
      this.#isEnd = content === undefined;
      if (content !== undefined) await this.#onBlock();
      if (content?.kind === 'damaged') await this.#damaged(content.error);
      if (content?.kind !== 'page') continue;
      const { count } = content.page.directory;
      this.#file.nodes += count;
      const error = noDirectoryError(disk, content.page, walk.block);
      if (error) await this.#damaged(error);
      if (count === 0) continue;
      this.#page = content.page;
      return true;
    }
    return false;
  }

  async #damaged(error: PageStoreError): Promise<void> {
    this.#log.muteSequences();
    await this.#log.damaged(this.#name, error);
  }
}
