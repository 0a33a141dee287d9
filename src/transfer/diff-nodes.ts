import { KeyMap } from '../arena/key-map.ts';
import { copyRange, equalRange } from '../bytes/buffer.ts';
import type { PageStoreError } from '../errors.ts';
import type { Page } from '../format/page.ts';
import { noDirectoryError } from './block-walk.ts';
import type { ComparedFile, DifferenceLog } from './difference.ts';
import {
  type Anchor,
  editsByAnchors,
  type EditScript,
  replaceAll,
  sampledAnchors,
  shortestEdits,
} from './edit-script.ts';

/** How many nodes of each file are compared together, and the most edits: the first level that aligns the files is used. */
const LEVELS: readonly { readonly nodes: number; readonly edits: number }[] = [
  { nodes: 64, edits: 128 },
  { nodes: 1024, edits: 256 },
];

/** How many nodes of each file are compared by anchors if no level aligns them. */
const MOST_NODES = 65_536;

/**
 * Compares the node sequences of two files. Where they differ, looks for the next nodes from which they are the same again:
 * a little ahead first, then further, and at last in all of both files.
 */
export async function diffNodes(
  a: ComparedFile,
  b: ComparedFile,
  log: DifferenceLog,
  onBlock: () => Promise<void>,
): Promise<void> {
  const inA = new NodeStream(a, 'a', log, onBlock);
  const inB = new NodeStream(b, 'b', log, onBlock);
  let anchors: readonly Anchor[] | undefined;
  while (!log.isStopped && !log.ignoresNodes && (await inA.ready()) && (await inB.ready())) {
    if (!skipSame(inA, inB)) continue;
    const script = log.stopsAtFirst ? replaceAll(1, 0) : await nextScript(inA, inB);
    if (log.ignoresNodes) break;
    if (script) {
      await addScript(inA, inB, script, log);
      continue;
    }
    anchors ??= await sampledAnchors(a, b, onBlock);
    const shift = shiftToAnchor(anchors, inA.position, inB.position);
    if (shift > 0) await addNext('added', inB, shift, log);
    else if (shift < 0) await addNext('removed', inA, -shift, log);
    else await addScript(inA, inB, replaceAll(inA.window.count, inB.window.count), log);
  }
  // At least one file has no more nodes; or, after damage, the rest is read only to report further damage.
  await addNext('removed', inA, Infinity, log);
  await addNext('added', inB, Infinity, log);
}

/** How many more nodes b has than a before the next anchor: after skipping them, the files are aligned there. */
function shiftToAnchor(anchors: readonly Anchor[], x: number, y: number): number {
  const next = anchors.find((anchor) => anchor.x >= x && anchor.y >= y);
  return next === undefined ? 0 : next.y - y - (next.x - x);
}

/** Skips equal nodes, as far as both streams are loaded. @returns whether the next ones differ */
function skipSame(inA: NodeStream, inB: NodeStream): boolean {
  const [pageA, pageB] = [inA.wholePage, inB.wholePage];
  // The nodes of identical pages need no comparison.
  const isSame = pageA !== undefined && pageB !== undefined && Buffer.compare(pageA.block, pageB.block) === 0;
  const count = Math.min(inA.loaded, inB.loaded);
  const [bytesA, bytesB] = [inA.bytes, inB.bytes];
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

/** How to turn the next nodes of a into those of b; undefined if they have too little in common. */
async function nextScript(inA: NodeStream, inB: NodeStream): Promise<EditScript | undefined> {
  for (const { nodes, edits } of LEVELS) {
    const { a, b, isEnd } = await numbered(inA, inB, nodes);
    const script = shortestEdits(a, b, isEnd, edits);
    if (script) return script;
  }
  const { a, b, ids, isEnd } = await numbered(inA, inB, MOST_NODES);
  const script = editsByAnchors(a, b, ids, isEnd);
  // A few anchors among many nodes are accidental. A script that ends early would have the rest compared over and over.
  if (script && (isEnd || script.aEnd + script.bEnd >= MOST_NODES / 2)) return script;
  if (isEnd) return replaceAll(a.length, b.length);
  // The rest of the file that ends first may be the end of the other one.
  if (inA.isEnd) return replaceAll(0, b.length);
  return inB.isEnd ? replaceAll(a.length, 0) : undefined;
}

interface Numbered {
  readonly a: Int32Array;
  readonly b: Int32Array;
  /** All numbers are below this. */
  readonly ids: number;
  /** Whether both files end with these nodes. */
  readonly isEnd: boolean;
}

/** Numbers the next nodes of both files: equal nodes have the same number. */
async function numbered(inA: NodeStream, inB: NodeStream, nodes: number): Promise<Numbered> {
  // One node more than is numbered shows whether there are more.
  await inA.fill(nodes + 1);
  await inB.fill(nodes + 1);
  const ids = new KeyMap<never>();
  const a = inA.window.numbered(nodes, ids);
  const b = inB.window.numbered(nodes, ids);
  const isEnd = inA.isEnd && inB.isEnd && a.length === inA.window.count && b.length === inB.window.count;
  return { a, b, ids: ids.size, isEnd };
}

/** Reports the edits of a script, and skips its nodes. */
async function addScript(inA: NodeStream, inB: NodeStream, script: EditScript, log: DifferenceLog): Promise<void> {
  for (const edit of script.edits) {
    const added = edit < 0 ? addNode('added', inB, ~edit, log) : addNode('removed', inA, edit, log);
    if (added) await added;
  }
  inA.skip(script.aEnd);
  inB.skip(script.bEnd);
}

/** Reports the next nodes of a file, at most `nodes`, and skips them. */
async function addNext(
  type: 'added' | 'removed',
  stream: NodeStream,
  nodes: number,
  log: DifferenceLog,
): Promise<void> {
  for (let rest = nodes; rest > 0 && !log.isStopped && (await stream.ready());) {
    const count = Math.min(stream.loaded, rest);
    for (let index = 0; index < count && !log.isStopped; index++) {
      const added = addNode(type, stream, index, log);
      if (added) await added;
    }
    stream.skip(count);
    rest -= count;
  }
}

function addNode(
  type: 'added' | 'removed',
  stream: NodeStream,
  index: number,
  log: DifferenceLog,
): void | Promise<void> {
  return log.add({ type, block: stream.block(index), slot: stream.slot(index), bytes: stream.nodeBytes(index) });
}

/**
 * The nodes of a file in order of blocks and slots. The next ones are read from the current page, or from a window of copies
 * once `fill` was called. The `loaded` next nodes can be accessed by index, 0 for the next one.
 */
class NodeStream {
  readonly window: NodeWindow = new NodeWindow();
  readonly #file: ComparedFile;
  readonly #name: 'a' | 'b';
  readonly #log: DifferenceLog;
  readonly #onBlock: () => Promise<void>;
  #page: Page | undefined;
  /** The next slot of the page that is not in the window. */
  #slot = 0;
  #isEnd = false;
  #position = 0;

  constructor(file: ComparedFile, name: 'a' | 'b', log: DifferenceLog, onBlock: () => Promise<void>) {
    this.#file = file;
    this.#name = name;
    this.#log = log;
    this.#onBlock = onBlock;
  }

  /** Nodes that were skipped. */
  get position(): number {
    return this.#position;
  }

  /** Whether all nodes that remain are in the window. */
  get isEnd(): boolean {
    return this.#isEnd;
  }

  /** The current page, if all its nodes come next. */
  get wholePage(): Page | undefined {
    return this.#slot === 0 ? this.#unwindowedPage : undefined;
  }

  get loaded(): number {
    return this.window.count > 0 ? this.window.count : this.#leftInPage;
  }

  /** The bytes that the offsets of loaded nodes refer to. */
  get bytes(): Uint8Array {
    return this.#unwindowedPage?.block ?? this.window.bytes;
  }

  nodeOffset(index: number): number {
    const page = this.#unwindowedPage;
    return page ? page.directory.nodeOffset(this.#slot + index) : this.window.nodeOffset(index);
  }

  nodeBytes(index: number): number {
    const page = this.#unwindowedPage;
    return page ? page.directory.nodeBytes(this.#slot + index) : this.window.nodeBytes(index);
  }

  block(index: number): number {
    return this.window.count > 0 ? this.window.block(index) : this.#file.walk.block;
  }

  slot(index: number): number {
    return this.window.count > 0 ? this.window.slot(index) : this.#slot + index;
  }

  /** Skips loaded nodes. */
  skip(nodes: number): void {
    this.#position += nodes;
    if (this.window.count > 0) this.window.drop(nodes);
    else this.#slot += nodes;
  }

  /** Loads a node if none is. @returns false at the end of the file */
  async ready(): Promise<boolean> {
    return this.loaded > 0 || this.#nextPage();
  }

  /** Copies nodes to the window until it has `nodes`, is full, or the file ends. */
  async fill(nodes: number): Promise<void> {
    if (this.window.count >= nodes) return;
    this.window.compact();
    while (this.window.count < nodes) {
      if (this.#leftInPage === 0 && !(await this.#nextPage())) return;
      if (!this.#fillFromPage(nodes)) return;
    }
  }

  /** The current page, if the next node is read from it. */
  get #unwindowedPage(): Page | undefined {
    return this.window.count > 0 ? undefined : this.#page;
  }

  get #leftInPage(): number {
    return this.#page === undefined ? 0 : this.#page.directory.count - this.#slot;
  }

  /** @returns false if the window is full */
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

  /** Reads the next page with nodes. @returns false if there is none */
  async #nextPage(): Promise<boolean> {
    const { walk, disk } = this.#file;
    this.#page = undefined;
    this.#slot = 0;
    while (!this.#isEnd) {
      const content = await walk.next();
      this.#isEnd = content === undefined;
      if (content !== undefined) await this.#onBlock();
      if (content?.kind === 'damaged') await this.#addDamage(content.error);
      if (content?.kind !== 'page') continue;
      const { count } = content.page.directory;
      this.#file.nodes += count;
      const error = noDirectoryError(disk, content.page, walk.block);
      if (error) await this.#addDamage(error);
      if (count === 0) continue;
      this.#page = content.page;
      return true;
    }
    return false;
  }

  async #addDamage(error: PageStoreError): Promise<void> {
    this.#log.ignoreNodes();
    await this.#log.addDamage(this.#name, error);
  }
}

const FIRST_BYTES = 65_536;
const FIRST_NODES = 1024;
/** A window has at most this many bytes, or one longer node. */
const MOST_BYTES = 8 * 1024 * 1024;

/** Copies of nodes with their refs. Nodes are added at the end and dropped at the front. */
class NodeWindow {
  #bytes = new Uint8Array(FIRST_BYTES);
  #usedBytes = 0;
  #offsets = new Uint32Array(FIRST_NODES);
  #lengths = new Uint32Array(FIRST_NODES);
  #blocks = new Uint32Array(FIRST_NODES);
  #slots = new Uint32Array(FIRST_NODES);
  #first = 0;
  #end = 0;

  get count(): number {
    return this.#end - this.#first;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  nodeOffset(index: number): number {
    return this.#offsets[this.#first + index] as number; // index < count, by contract
  }

  nodeBytes(index: number): number {
    return this.#lengths[this.#first + index] as number; // index < count, by contract
  }

  block(index: number): number {
    return this.#blocks[this.#first + index] as number; // index < count, by contract
  }

  slot(index: number): number {
    return this.#slots[this.#first + index] as number; // index < count, by contract
  }

  drop(nodes: number): void {
    this.#first += nodes;
    if (this.#first === this.#end) this.#first = this.#end = this.#usedBytes = 0;
  }

  /** Moves the nodes to the front. Call it before adding nodes. */
  compact(): void {
    if (this.#first === 0) return;
    const start = this.#offsets[this.#first] as number; // the window is not empty, else first were 0
    this.#bytes.copyWithin(0, start, this.#usedBytes);
    this.#usedBytes -= start;
    for (const array of [this.#offsets, this.#lengths, this.#blocks, this.#slots])
      array.copyWithin(0, this.#first, this.#end);
    this.#end -= this.#first;
    this.#first = 0;
    for (let index = 0; index < this.#end; index++) this.#offsets[index] = (this.#offsets[index] as number) - start; // index < end
  }

  /** Adds a copy of the node `source[start, end)`. @returns false, with nothing changed, if the window is full */
  add(source: Uint8Array, start: number, end: number, block: number, slot: number): boolean {
    const usedBytes = this.#usedBytes + end - start;
    if (usedBytes > MOST_BYTES && this.#end > this.#first) return false;
    if (usedBytes > this.#bytes.length) this.#growBytes(usedBytes);
    if (this.#end === this.#offsets.length) this.#growNodes();
    copyRange(source, start, end, this.#bytes, this.#usedBytes);
    this.#offsets[this.#end] = this.#usedBytes;
    this.#lengths[this.#end] = end - start;
    this.#blocks[this.#end] = block;
    this.#slots[this.#end] = slot;
    this.#end++;
    this.#usedBytes = usedBytes;
    return true;
  }

  /** Numbers the first `nodes` nodes. Equal nodes get the same number, also those of other windows numbered with `ids`. */
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
    grown.set(this.#bytes.subarray(0, this.#usedBytes));
    this.#bytes = grown;
  }

  #growNodes(): void {
    this.#offsets = doubled(this.#offsets);
    this.#lengths = doubled(this.#lengths);
    this.#blocks = doubled(this.#blocks);
    this.#slots = doubled(this.#slots);
  }
}

function doubled(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(2 * array.length);
  grown.set(array);
  return grown;
}
