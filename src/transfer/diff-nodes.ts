import { KeyMap } from '../arena/key-map.ts';
import { copyRange, equalRange } from '../bytes/buffer.ts';
import { IN_ORDER, PresentSlots } from '../format/slots.ts';
import { noDirectoryError, type PageBlock } from './block-walk.ts';
import type { ComparedFile, DifferenceLog } from './difference.ts';
import {
  type Anchor,
  editsByAnchors,
  type EditScript,
  replaceAll,
  sampledAnchors,
  shortestEdits,
} from './edit-script.ts';

/** The first level that aligns the files is used. */
const LEVELS: readonly { readonly nodes: number; readonly edits: number }[] = [
  { nodes: 64, edits: 128 },
  { nodes: 1024, edits: 256 },
];

/** Compared by anchors if no level aligns the files. */
const MOST_NODES = 65_536;

/**
 * Compares node sequences. After a difference, looks for the next equal nodes: a little ahead, then further, then in
 * all of both files.
 */
export async function diffNodes(
  a: ComparedFile,
  b: ComparedFile,
  log: DifferenceLog,
  onBlock: () => Promise<void>,
): Promise<void> {
  const inA = new NodeStream(a, log, onBlock);
  const inB = new NodeStream(b, log, onBlock);
  let anchors: readonly Anchor[] | undefined;
  while (!log.isStopped && !log.ignoresNodes && (await inA.ready()) && (await inB.ready())) {
    if (!skipSame(inA, inB)) continue;
    const script = log.stopsAtFirst ? replaceAll(1, 0) : await nextScript(inA, inB);
    if (log.ignoresNodes) break;
    if (script) {
      await addScript(inA, inB, script);
      continue;
    }
    anchors ??= await sampledAnchors(a, b, onBlock);
    const shift = shiftToAnchor(anchors, inA.position, inB.position);
    if (shift > 0) await inB.addNext(shift);
    else if (shift < 0) await inA.addNext(-shift);
    else await addScript(inA, inB, replaceAll(inA.window.count, inB.window.count));
  }
  // One file has no more nodes; or, after damage, the rest is read only to report further damage.
  await inA.addNext(Infinity);
  await inB.addNext(Infinity);
}

/** How many more nodes b has than a before the next anchor. */
function shiftToAnchor(anchors: readonly Anchor[], x: number, y: number): number {
  const next = anchors.find((anchor) => anchor.x >= x && anchor.y >= y);
  return next === undefined ? 0 : next.y - y - (next.x - x);
}

/** Skips equal nodes that are loaded. @returns whether the next ones differ */
function skipSame(inA: NodeStream, inB: NodeStream): boolean {
  const [bytesA, bytesB] = [inA.bytes, inB.bytes];
  const count = Math.min(inA.loaded, inB.loaded);
  // Identical pages need no comparison of nodes.
  const isSame = inA.isPageStart && inB.isPageStart && Buffer.compare(bytesA, bytesB) === 0;
  let same = isSame ? count : 0;
  for (; same < count; same++) {
    const bytes = inA.nodeBytes(same);
    if (bytes !== inB.nodeBytes(same)) break;
    if (!equalRange(bytesA, inA.nodeOffset(same), bytesB, inB.nodeOffset(same), bytes)) break;
  }
  inA.skip(same);
  inB.skip(same);
  return same < count;
}

/** @returns undefined if the next nodes have too little in common */
async function nextScript(inA: NodeStream, inB: NodeStream): Promise<EditScript | undefined> {
  for (const { nodes, edits } of LEVELS) {
    const { a, b, isEnd } = await numbered(inA, inB, nodes);
    const script = shortestEdits(a, b, isEnd, edits);
    if (script) return script;
  }
  const { a, b, ids, isEnd } = await numbered(inA, inB, MOST_NODES);
  const script = editsByAnchors(a, b, ids, isEnd);
  // Few anchors are accidental, and a script that ends early would compare the rest over and over.
  if (script && (isEnd || script.aEnd + script.bEnd >= MOST_NODES / 2)) return script;
  if (isEnd) return replaceAll(a.length, b.length);
  // The rest of the file that ends first may be the end of the other one.
  if (inA.isEnd) return replaceAll(0, b.length);
  return inB.isEnd ? replaceAll(a.length, 0) : undefined;
}

/**
 * Numbers the next nodes of both files: equal nodes have the same number, below `ids`.
 * @returns `isEnd`: whether both files end with these nodes
 */
async function numbered(
  inA: NodeStream,
  inB: NodeStream,
  nodes: number,
): Promise<{ a: Int32Array; b: Int32Array; ids: number; isEnd: boolean }> {
  // One node more shows whether the file goes on.
  await inA.fill(nodes + 1);
  await inB.fill(nodes + 1);
  const ids = new KeyMap<never>();
  const a = inA.window.numbered(nodes, ids);
  const b = inB.window.numbered(nodes, ids);
  const isEnd = inA.isEnd && inB.isEnd && a.length === inA.window.count && b.length === inB.window.count;
  return { a, b, ids: ids.size, isEnd };
}

async function addScript(inA: NodeStream, inB: NodeStream, { edits, aEnd, bEnd }: EditScript): Promise<void> {
  for (const edit of edits) {
    const added = edit < 0 ? inB.add(~edit) : inA.add(edit);
    if (added) await added;
  }
  inA.skip(aEnd);
  inB.skip(bEnd);
}

const NO_SLOTS = new PresentSlots({
  count: 0,
  start: 0,
  end: 0,
  nodeOffset: () => 0,
  nodeBytes: () => 0,
  entryOffset: () => 0,
  scan: () => IN_ORDER,
});

/**
 * The nodes of a file in order, read from the current page, or from a window of copies after `fill`. The `loaded` next
 * nodes have indexes from 0.
 */
class NodeStream {
  readonly window: NodeWindow = new NodeWindow();
  position = 0;
  /** Whether the window contains all remaining nodes. */
  isEnd = false;
  readonly #file: ComparedFile;
  readonly #log: DifferenceLog;
  readonly #onBlock: () => Promise<void>;
  #page: PageBlock | undefined;
  /** The nodes of the page. */
  #nodes: PresentSlots = NO_SLOTS;
  /** The index, among the nodes of the page, of the next one that is not in the window. */
  #slot = 0;

  constructor(file: ComparedFile, log: DifferenceLog, onBlock: () => Promise<void>) {
    this.#file = file;
    this.#log = log;
    this.#onBlock = onBlock;
  }

  get loaded(): number {
    return this.window.count > 0 ? this.window.count : this.#leftInPage;
  }

  /** Whether the loaded nodes are all nodes of a page, and {@link bytes} is its block. */
  get isPageStart(): boolean {
    return this.#slot === 0 && this.#unwindowedPage !== undefined;
  }

  /** The offsets of loaded nodes refer to these. */
  get bytes(): Uint8Array {
    return this.#unwindowedPage?.page.block ?? this.window.bytes;
  }

  nodeOffset(index: number): number {
    const source = this.#unwindowedPage;
    return source ? this.#nodes.nodeOffset(this.#slot + index) : this.window.nodeOffset(index);
  }

  nodeBytes(index: number): number {
    const source = this.#unwindowedPage;
    return source ? this.#nodes.nodeBytes(this.#slot + index) : this.window.nodeBytes(index);
  }

  /** Reports a loaded node that only this file has. */
  add(index: number): void | Promise<void> {
    const type = this.#file.name === 'a' ? 'removed' : 'added';
    const block = this.#unwindowedPage?.block ?? this.window.block(index);
    const slot = this.#unwindowedPage ? this.#nodes.slotAt(this.#slot + index) : this.window.slot(index);
    return this.#log.add({ type, block, slot, bytes: this.nodeBytes(index) });
  }

  async addNext(nodes: number): Promise<void> {
    for (let rest = nodes; rest > 0 && !this.#log.isStopped && (await this.ready());) {
      const count = Math.min(this.loaded, rest);
      for (let index = 0; index < count && !this.#log.isStopped; index++) {
        const added = this.add(index);
        if (added) await added;
      }
      this.skip(count);
      rest -= count;
    }
  }

  skip(nodes: number): void {
    this.position += nodes;
    if (this.window.count > 0) this.window.drop(nodes);
    else this.#slot += nodes;
  }

  /** Loads a node if none is. @returns false at the end of the file */
  async ready(): Promise<boolean> {
    return this.loaded > 0 || (await this.#nextPage()) !== undefined;
  }

  /** Copies nodes until the window has `nodes`, is full, or the file ends. */
  async fill(nodes: number): Promise<void> {
    if (this.window.count >= nodes) return;
    this.window.moveToFront();
    while (this.window.count < nodes) {
      const source = this.#leftInPage > 0 ? this.#page : await this.#nextPage();
      if (source === undefined) return;
      const { count } = this.#nodes;
      for (; this.window.count < nodes && this.#slot < count; this.#slot++) {
        if (!this.window.add(source, this.#nodes.slotAt(this.#slot))) return;
      }
    }
  }

  get #unwindowedPage(): PageBlock | undefined {
    return this.window.count > 0 ? undefined : this.#page;
  }

  get #leftInPage(): number {
    return this.#page === undefined ? 0 : this.#nodes.count - this.#slot;
  }

  async #nextPage(): Promise<PageBlock | undefined> {
    this.#page = undefined;
    this.#slot = 0;
    for (let content = await this.#file.next(); content !== undefined; content = await this.#file.next()) {
      await this.#onBlock();
      const page = content.kind === 'page' ? content : undefined;
      const error = content.kind === 'damaged' ? content.error : page && noDirectoryError(this.#file.disk, page);
      if (error) {
        this.#log.ignoresNodes = true;
        await this.#log.addDamage(this.#file, error);
      }
      if (page === undefined) continue;
      this.#nodes = new PresentSlots(page.page.directory);
      this.#file.nodes += this.#nodes.count;
      if (this.#nodes.count > 0) return (this.#page = page);
    }
    this.isEnd = true;
    return undefined;
  }
}

const FIRST_BYTES = 65_536;
const FIRST_NODES = 1024;
/** Of a window, unless it has a single longer node. */
const MOST_BYTES = 8 * 1024 * 1024;

/** Copies of nodes with their refs, added at the end and dropped at the front. */
class NodeWindow {
  #bytes = new Uint8Array(FIRST_BYTES);
  #usedBytes = 0;
  /** Four per node: offset in the bytes, length, block, slot. */
  #words = new Uint32Array(4 * FIRST_NODES);
  #first = 0;
  #end = 0;

  get count(): number {
    return this.#end - this.#first;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  nodeOffset(index: number): number {
    return this.#words[4 * (this.#first + index)] as number; // index < count, by contract
  }

  nodeBytes(index: number): number {
    return this.#words[4 * (this.#first + index) + 1] as number; // as above
  }

  block(index: number): number {
    return this.#words[4 * (this.#first + index) + 2] as number; // as above
  }

  slot(index: number): number {
    return this.#words[4 * (this.#first + index) + 3] as number; // as above
  }

  drop(nodes: number): void {
    this.#first += nodes;
    if (this.#first === this.#end) this.#first = this.#end = this.#usedBytes = 0;
  }

  moveToFront(): void {
    if (this.#first === 0) return;
    const start = this.nodeOffset(0); // the window is not empty, else first were 0
    this.#bytes.copyWithin(0, start, this.#usedBytes);
    this.#usedBytes -= start;
    this.#words.copyWithin(0, 4 * this.#first, 4 * this.#end);
    this.#end -= this.#first;
    this.#first = 0;
    for (let index = 0; index < this.#end; index++) this.#words[4 * index] = this.nodeOffset(index) - start;
  }

  /** @returns false, with nothing changed, if the window is full */
  add({ block, page }: PageBlock, slot: number): boolean {
    const start = page.directory.nodeOffset(slot);
    const bytes = page.directory.nodeBytes(slot);
    const usedBytes = this.#usedBytes + bytes;
    if (usedBytes > MOST_BYTES && this.count > 0) return false;
    if (usedBytes > this.#bytes.length) this.#growBytes(usedBytes);
    if (4 * this.#end === this.#words.length) this.#growWords();
    copyRange(page.block, start, start + bytes, this.#bytes, this.#usedBytes);
    const word = 4 * this.#end++;
    this.#words[word] = this.#usedBytes;
    this.#words[word + 1] = bytes;
    this.#words[word + 2] = block;
    this.#words[word + 3] = slot;
    this.#usedBytes = usedBytes;
    return true;
  }

  /** Equal nodes get the same number, also across windows that share `ids`. */
  numbered(nodes: number, ids: KeyMap<never>): Int32Array {
    const numbers = new Int32Array(Math.min(nodes, this.count));
    for (let index = 0; index < numbers.length; index++) {
      const start = this.nodeOffset(index);
      numbers[index] = ids.entryOf(this.#bytes, start, start + this.nodeBytes(index));
    }
    return numbers;
  }

  #growBytes(least: number): void {
    const grown = new Uint8Array(Math.max(least, Math.min(2 * this.#bytes.length, MOST_BYTES)));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }

  #growWords(): void {
    const grown = new Uint32Array(2 * this.#words.length);
    grown.set(this.#words);
    this.#words = grown;
  }
}
