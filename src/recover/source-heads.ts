import { Hash64 } from '../bytes/checksum.ts';
import { betweenBlocks, type LongWork } from '../disk/long-work.ts';
import type { CommittedView } from '../disk/committed-view.ts';
import { addHead, copyHash, type DigestState, equalHash, subtractHead } from '../format/digest.ts';
import { encodeFreeLink, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { commitOf, PAGE_FLAG, PAGE_HEADER, pageFormatOf } from '../format/page-header.ts';

/** What the headers of all blocks say before any block is read: which pages are in the place of others, and their sum. */
export class SourceHeads {
  readonly #view: CommittedView;
  readonly #state: DigestState | undefined;
  readonly #end: number;
  /** Of the headers that the digest covers, as they are in the new file. */
  readonly #sum = new Hash64();
  /** For each block the one that seems to have its page, 0 for none; undefined if every page is in its place. */
  #places: Uint32Array | undefined;

  private constructor(view: CommittedView, state: DigestState | undefined, end: number) {
    this.#view = view;
    this.#state = state;
    this.#end = end;
  }

  /**
   * @param blocks - end of the blocks to read
   * @param end - of those that the digest covers, if there is one
   * @throws {@link PageStoreError} `IO`; the reason of the signal
   */
  static async read(
    view: CommittedView,
    blocks: number,
    { state, end }: { readonly state: DigestState | undefined; readonly end: number },
    work: LongWork,
  ): Promise<SourceHeads> {
    const heads = new SourceHeads(view, state, end);
    for (let block = 1; block < blocks; block++) {
      const pause = betweenBlocks(block, blocks, work);
      if (pause) await pause;
      await heads.#add(block, blocks);
    }
    return heads;
  }

  async #add(block: number, blocks: number): Promise<void> {
    const head = await this.#read(block);
    if (this.#covers(block)) addHead(this.#sum, block, head);
    if (pageFormatOf(head) === undefined) return;
    const { flags, home } = PAGE_HEADER.read(head);
    if ((flags & PAGE_FLAG.hasChecksum) !== 0 && home !== block && home > 0 && home < blocks) {
      const places = (this.#places ??= new Uint32Array(blocks));
      const other = places[home] ?? 0;
      // Of two states of a page, the newer one counts.
      if (other === 0 || commitOf(head) > commitOf(await this.#read(other))) places[home] = block;
    }
  }

  async #read(block: number): Promise<Uint8Array> {
    const head = new Uint8Array(PAGE_HEADER_BYTES);
    head.fill(0, await this.#view.read(head, fileOffset(block)));
    return head;
  }

  /** Another block whose header says that it has the page of this one; 0 for none. */
  placeOf(block: number): number {
    return this.#places?.[block] ?? 0;
  }

  #covers(block: number): boolean {
    const { openFrom = 0, openEnd = 0 } = this.#state ?? {};
    return block < this.#end && (block < openFrom || block >= openEnd);
  }

  /** Notes that the new file has another header at a block than the old one. @param head - its first 64 bytes, or more */
  async replace(block: number, head: Uint8Array, oldHead?: Uint8Array): Promise<void> {
    if (!this.#covers(block)) return;
    subtractHead(this.#sum, block, oldHead ?? (await this.#read(block)));
    addHead(this.#sum, block, head);
  }

  /**
   * Whether the digest is that of the new file's pages if the wrong link of a free block led to one of `targets`.
   * @param targets - block ids, 0 for the end of the list
   */
  async isMatchWithLink(block: number, targets: Iterable<number>): Promise<boolean> {
    if (this.#state === undefined || !this.#covers(block)) return false;
    const head = await this.#read(block);
    const rest = copyHash(this.#sum);
    subtractHead(rest, block, head);
    for (const target of targets) {
      new DataView(head.buffer).setBigUint64(0, encodeFreeLink(target), true);
      const sum = copyHash(rest);
      addHead(sum, block, head);
      if (equalHash(sum, this.#state.sum)) return true;
    }
    return false;
  }

  /** Whether the digest is that of the new file's pages. False without a digest. */
  get isMatch(): boolean {
    return this.#state !== undefined && equalHash(this.#sum, this.#state.sum);
  }
}
