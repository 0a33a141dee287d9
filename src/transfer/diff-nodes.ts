import { KeyMap } from '../arena/key-map.ts';
import { copyRange, equalRange } from '../bytes/buffer.ts';
import type { PageStoreError } from '../errors.ts';
import type { Page } from '../format/page.ts';
import { noDirectoryError } from './block-walk.ts';
import type { ComparedFile, DifferenceLog } from './difference.ts';
import { type Anchor, editsByAnchors, type EditScript, findLandmarks, replaced, shortestEdits } from './edit-script.ts';

const FIRST_BYTES = 65_536;
const FIRST_NODES = 1024;
/** More bytes are not kept, but for a node that is longer. */
const MOST_BYTES = 8 * 1024 * 1024;

/** Copies of the next nodes of a file, with their refs. Nodes are added at the end and dropped at the front. */
export class NodeWindow {
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

  /** Where the bytes of the nodes are. */
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

  /** Moves what is left to the front: to be called before nodes are added. */
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

  /** Adds a copy of the node `source[start, end)`. @returns false, with nothing changed, where the window is full */
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

  /** A number for each of the first `nodes` nodes: of equal ones, in all windows that share `ids`, the same. */
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

/** Nodes of each file that are looked at together, and most edits that are looked for among them: the first that bring the files in step are taken. */
const LEVELS: readonly { readonly nodes: number; readonly edits: number }[] = [
  { nodes: 64, edits: 128 },
  { nodes: 1024, edits: 256 },
];

/** As many nodes of each file are looked at where that was not enough. */
const MOST_NODES = 65_536;

/**
 * Compares the sequences of nodes of two files, wherever the nodes are. Where they differ, it looks for the place from
 * which they are the same again: a little ahead first, then further, and at last in all of the files.
 */
export async function diffNodes(
  a: ComparedFile,
  b: ComparedFile,
  log: DifferenceLog,
  onBlock: () => Promise<void>,
): Promise<void> {
  const inA = new NodeStream(a, 'a', log, onBlock);
  const inB = new NodeStream(b, 'b', log, onBlock);
  let landmarks: readonly Anchor[] | undefined;
  while (!log.isStopped && !log.isMuted && (await inA.ready()) && (await inB.ready())) {
    if (!skipSame(inA, inB)) continue;
    const script = log.stopsAtFirst ? replaced(1, 0) : await nextScript(inA, inB);
    if (log.isMuted) break;
    if (script) {
      await tellScript(inA, inB, script, log);
      continue;
    }
    landmarks ??= await findLandmarks(a, b, onBlock);
    const shift = shiftBefore(landmarks, inA.position, inB.position);
    if (shift > 0) await tellNext('added', inB, shift, log);
    else if (shift < 0) await tellNext('removed', inA, -shift, log);
    else await tellScript(inA, inB, replaced(inA.window.count, inB.window.count), log);
  }
  // Behind damage the rest is read for the damage that is in it.
  // Of one file, or of both, nothing is left.
  await tellNext('removed', inA, Infinity, log);
  await tellNext('added', inB, Infinity, log);
}

/** How many more nodes of b than of a come before the next landmark: with them out of the way, the files are in step there. */
function shiftBefore(landmarks: readonly Anchor[], x: number, y: number): number {
  const next = landmarks.find((anchor) => anchor.x >= x && anchor.y >= y);
  return next === undefined ? 0 : next.y - y - (next.x - x);
}

/** Goes past nodes that are the same, as far as they can be looked at. @returns whether the next ones differ */
function skipSame(inA: NodeStream, inB: NodeStream): boolean {
  const [pageA, pageB] = [inA.wholePage, inB.wholePage];
  // Pages that are the same to the last byte need no look at their nodes.
  const isSame = pageA !== undefined && pageB !== undefined && Buffer.compare(pageA.block, pageB.block) === 0;
  const count = Math.min(inA.left, inB.left);
  const [sourceA, sourceB] = [inA.source, inB.source];
  let same = isSame ? count : 0;
  for (; same < count; same++) {
    const bytes = inA.nodeBytes(same);
    if (bytes !== inB.nodeBytes(same)) break;
    if (!equalRange(sourceA, inA.nodeOffset(same), sourceB, inB.nodeOffset(same), bytes)) break;
  }
  inA.skip(same);
  inB.skip(same);
  return same < count;
}

/** How the next nodes of a become those of b; undefined where they have too little in common to say. */
async function nextScript(inA: NodeStream, inB: NodeStream): Promise<EditScript | undefined> {
  for (const { nodes, edits } of LEVELS) {
    const { a, b, isEnd } = await numbered(inA, inB, nodes);
    const script = shortestEdits(a, b, isEnd, edits);
    if (script) return script;
  }
  const { a, b, ids, isEnd } = await numbered(inA, inB, MOST_NODES);
  const script = editsByAnchors(a, b, ids, isEnd);
  // A few anchors among many nodes are by chance, or far from the next ones. To go on behind them would mean to look at
  // these nodes over and over.
  if (script && (isEnd || script.aEnd + script.bEnd >= MOST_NODES / 2)) return script;
  if (isEnd) return replaced(a.length, b.length);
  // What is left of a file that ends may be what comes last in the other one.
  if (inA.isEnd) return replaced(0, b.length);
  return inB.isEnd ? replaced(a.length, 0) : undefined;
}

interface Numbered {
  readonly a: Int32Array;
  readonly b: Int32Array;
  /** Numbers are below this. */
  readonly ids: number;
  /** Whether both files end with these nodes. */
  readonly isEnd: boolean;
}

/** A number for each of the next nodes of both files: the same for equal ones alone. */
async function numbered(inA: NodeStream, inB: NodeStream, nodes: number): Promise<Numbered> {
  // One more than is looked at, to know whether there is more.
  await inA.fill(nodes + 1);
  await inB.fill(nodes + 1);
  const ids = new KeyMap<never>();
  const a = inA.window.numbered(nodes, ids);
  const b = inB.window.numbered(nodes, ids);
  const isEnd = inA.isEnd && inB.isEnd && a.length === inA.window.count && b.length === inB.window.count;
  return { a, b, ids: ids.size, isEnd };
}

async function tellScript(inA: NodeStream, inB: NodeStream, script: EditScript, log: DifferenceLog): Promise<void> {
  for (const edit of script.edits) {
    const told = edit < 0 ? tellNode('added', inB, ~edit, log) : tellNode('removed', inA, edit, log);
    if (told) await told;
  }
  inA.skip(script.aEnd);
  inB.skip(script.bEnd);
}

/** Tells of the next nodes of a file, as many as there are up to `nodes`, and goes past them. */
async function tellNext(
  type: 'added' | 'removed',
  stream: NodeStream,
  nodes: number,
  log: DifferenceLog,
): Promise<void> {
  for (let rest = nodes; rest > 0 && !log.isStopped && (await stream.ready());) {
    const count = Math.min(stream.left, rest);
    for (let index = 0; index < count && !log.isStopped; index++) {
      const told = tellNode(type, stream, index, log);
      if (told) await told;
    }
    stream.skip(count);
    rest -= count;
  }
}

function tellNode(
  type: 'added' | 'removed',
  stream: NodeStream,
  index: number,
  log: DifferenceLog,
): void | Promise<void> {
  return log.add({ type, block: stream.block(index), slot: stream.slot(index), bytes: stream.nodeBytes(index) });
}
