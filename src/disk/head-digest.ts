import { Hash64 } from '../bytes/checksum.ts';
import { addHash, addHead, copyHash, type DigestState, digestIn, newDigest, subtractHead } from '../format/digest.ts';
import type { FileHeader } from '../format/file-header.ts';
import { entryCountProblems } from '../format/header-checks.ts';
import { fileOffset, NODE_AREA_OFFSET, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { commitOf, freedNodes, PAGE_HEADER, pageFormatOf } from '../format/page-header.ts';
import type { BlockFile } from './block-file.ts';
import type { ReplacedHead } from './commit-log.ts';
import { betweenBlocks, type LongWork } from './long-work.ts';
import { problemError } from './page-file.ts';

/** Of blocks `first` to `end - 1`. */
export interface Sum {
  readonly sum: Hash64;
  /** Highest commit number in a page. */
  readonly commit: number;
  /** In all pages. */
  readonly slots: number;
  /** Whether there is a page with nodes and no slots: another program may still finalize it. */
  readonly hasOrphans: boolean;
  /** In pages that another program has freed, without lowering the entry count. */
  readonly freedNodes: number;
}

/** Reads the first 64 bytes of many blocks. @param end - exclusive @throws `IO`; the reason of `work.signal` */
export async function sumOfHeads(
  file: Pick<BlockFile, 'read'>,
  first: number,
  end: number,
  work: LongWork = {},
): Promise<Sum> {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  const sum = new Hash64();
  let [commit, slots, freed, hasOrphans] = [0, 0, 0, false];
  for (let block = first; block < end; block++) {
    const pause = betweenBlocks(block, end, work);
    if (pause) await pause;
    work.signal?.throwIfAborted();
    head.fill(0, await file.read(head, fileOffset(block)));
    addHead(sum, block, head);
    freed += freedNodes(head);
    if (pageFormatOf(head) === undefined) continue;
    const header = PAGE_HEADER.read(head);
    slots += header.nodeCount;
    hasOrphans ||= header.nodeCount === 0 && header.freeOffset > NODE_AREA_OFFSET;
    commit = Math.max(commit, commitOf(head));
  }
  return { sum, commit, slots, hasOrphans, freedNodes: freed };
}

/** Keeps the digest of a file that is open for writing. @see docs/format.md#digest-of-the-page-headers */
export class HeadDigest {
  readonly #file: BlockFile;
  readonly #signal: AbortSignal | undefined;
  #state: DigestState;
  /** Whether the sum in `#state` is of the blocks in the file, but for the open ones. */
  #isOfFile: boolean;

  /** @param start - the first 128 bytes of the file, whose digest is not damaged */
  constructor(file: BlockFile, start: Uint8Array, signal: AbortSignal | undefined) {
    this.#file = file;
    this.#signal = signal;
    const { kind, state } = digestIn(start);
    this.#state = state ?? { ...newDigest(), commit: 0 };
    this.#isOfFile = kind === 'valid';
  }

  /** Undefined until {@link complete} has made it up to date. */
  get current(): DigestState | undefined {
    const { openFrom, openEnd } = this.#state;
    return this.#isOfFile && openFrom === openEnd ? this.#state : undefined;
  }

  /** Whether the file has a digest that a change of a header must not contradict. */
  get isOfFile(): boolean {
    return this.#isOfFile;
  }

  set(state: DigestState): void {
    this.#state = state;
    this.#isOfFile = true;
  }

  /**
   * Takes up a file without a digest, or with that of another header, and blocks that the sum leaves out.
   * @throws {@link PageStoreError} `ENTRY_COUNT` for a count above that of the nodes: then pages are lost; `IO`; the reason of a
   * signal
   */
  async complete(header: FileHeader, { signal, onProgress }: LongWork = {}): Promise<DigestState> {
    if (this.current) return this.current;
    const { blockCount } = header;
    const signals = [this.#signal, signal].filter((each) => each !== undefined);
    const work = { signal: signals.length > 1 ? AbortSignal.any(signals) : signals[0], onProgress };
    if (this.#isOfFile) {
      const { sum, commit, openFrom, openEnd } = this.#state;
      const all = copyHash(sum);
      addHash(all, (await sumOfHeads(this.#file, openFrom, Math.min(openEnd, blockCount), work)).sum);
      this.set({ sum: all, commit, openFrom: 0, openEnd: 0 });
    } else {
      const { sum, commit, slots, hasOrphans, freedNodes: freed } = await sumOfHeads(this.#file, 1, blockCount, work);
      // Then pages are lost, and their number would be the last trace of them.
      for (const problem of hasOrphans ? [] : entryCountProblems(header, slots + freed))
        if (problem.severity === 'error') throw problemError(this.#file, problem);
      this.set({ sum, commit: Math.max(commit, this.#state.commit), openFrom: 0, openEnd: 0 });
    }
    return this.#state;
  }

  /** The state with one more number, in which the sum leaves out the blocks of `heads` and those between them. */
  async without(state: DigestState, heads: readonly ReplacedHead[]): Promise<DigestState> {
    const [openFrom, openEnd] = rangeOf(heads);
    const open = { sum: copyHash(state.sum), commit: state.commit + 1, openFrom, openEnd };
    await this.#eachHead(open, heads, 'oldHead', subtractHead);
    return open;
  }

  /** The state of {@link without} with the new heads in the sum again. */
  async with(open: DigestState, heads: readonly ReplacedHead[]): Promise<DigestState> {
    const closed = { sum: copyHash(open.sum), commit: open.commit, openFrom: open.openFrom, openEnd: open.openEnd };
    await this.#eachHead(closed, heads, 'head', addHead);
    return { ...closed, openFrom: 0, openEnd: 0 };
  }

  /** Those between `heads` are read. */
  async #eachHead(
    { sum, openFrom, openEnd }: DigestState & { readonly sum: Hash64 },
    heads: readonly ReplacedHead[],
    which: 'head' | 'oldHead',
    change: (sum: Hash64, block: number, head: Uint8Array) => void,
  ): Promise<void> {
    const known = new Map(heads.map((each) => [each.block, each[which]]));
    const other = new Uint8Array(PAGE_HEADER_BYTES);
    for (let block = openFrom; block < openEnd; block++) {
      const pause = betweenBlocks(block, openEnd, { signal: this.#signal });
      if (pause) await pause;
      const head = known.get(block);
      if (head === undefined) await this.#file.read(other, fileOffset(block));
      change(sum, block, head ?? other);
    }
  }
}

function rangeOf(heads: readonly ReplacedHead[]): [number, number] {
  let [from, end] = [Infinity, 0];
  for (const { block } of heads) [from, end] = [Math.min(from, block), Math.max(end, block + 1)];
  return [Math.min(from, end), end];
}

/** The sum of the headers of blocks after the last one, which the next commit may add. */
export class AddedSum {
  readonly #file: BlockFile;
  #sum = new Hash64();
  #first: number;
  /** Blocks before it are in the sum; those after it are zeros. */
  #end: number;
  #isKnown = true;

  constructor(file: BlockFile, first: number) {
    this.#file = file;
    this.#first = this.#end = first;
  }

  /** @param hasOthers - whether there are other blocks after them, which were written before */
  reset(first: number, hasOthers: boolean = false): void {
    this.#sum = new Hash64();
    this.#first = this.#end = first;
    this.#isKnown = !hasOthers;
  }

  /** Writes bytes that begin in the header of a new block. */
  async write(block: number, source: Uint8Array, offset: number): Promise<void> {
    const isKnown = this.#isKnown;
    this.#isKnown = false;
    if (block < this.#end) subtractHead(this.#sum, block, await this.#read(block));
    await this.#file.write(source, fileOffset(block, offset));
    const isWhole = offset === 0 && source.length >= PAGE_HEADER_BYTES;
    addHead(this.#sum, block, isWhole ? source : await this.#read(block));
    this.#end = Math.max(this.#end, block + 1);
    this.#isKnown = isKnown;
  }

  /** @param touchedBlocks - the end of what was written */
  async sumOf(count: number, touchedBlocks: number): Promise<Hash64> {
    const end = this.#first + count;
    return this.#isKnown && end === touchedBlocks ? this.#sum : (await sumOfHeads(this.#file, this.#first, end)).sum;
  }

  async #read(block: number): Promise<Uint8Array> {
    const head = new Uint8Array(PAGE_HEADER_BYTES);
    head.fill(0, await this.#file.read(head, fileOffset(block)));
    return head;
  }
}
