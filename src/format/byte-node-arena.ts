import { assertBytes, assertWholeNumber, checkOptions, lengthOf, showAs } from '../arguments.ts';
import { assertByteRange } from '../bytes/buffer.ts';
import { crc32 } from '../bytes/checksum.ts';
import { counted } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, firstU64, NODE_AREA_OFFSET, PAGE_HEADER_BYTES, V1_SLOT_BYTES } from './layout.ts';
import { pageFieldProblem, PageFacts, pageProblems } from './page-checks.ts';
import {
  encodeEmptyPageHeader,
  isFinalized,
  PAGE_FLAG,
  PAGE_HEADER,
  PAGE_MAGIC,
  type PageFormat,
  pageFormatOf,
} from './page-header.ts';
import { completePage, type PageWriter } from './page-writer.ts';
import { acceptsNodes, assertPageSize, decodePageAs, openPageWriter, type Page, slotEntry } from './page.ts';
import { hex, type Problem } from './problem.ts';
import type { ByteRange } from './slots.ts';

/** Options of `from` of the page classes. */
export interface FromBytesOptions {
  /** Whether to take damaged bytes too, in order to look at them. Default: false. */
  readonly unchecked?: boolean;
}

/** A page in memory has no block: problems name it as page 0, and their offsets are offsets in the page. */
const NO_BLOCK = 0;

/** Slots for which there is room at first. */
const FIRST_SLOTS = 64;

/**
 * A page that a program holds and fills: {@link ByteNodeArenaV1} or {@link ByteNodeArenaV2}. Slots are numbered from 0 in
 * the order of `allocate`, and no node moves or changes its length. `PageStore.addPage` stores the page in a file.
 */
export abstract class ByteNodeArena {
  readonly pageFormat: PageFormat;
  readonly #block: Uint8Array;
  /** Offset and length of each node. A V2 directory is searched from its start, and may not be in the block yet. */
  #slots: Uint32Array = new Uint32Array(2 * FIRST_SLOTS);
  #slotCount = 0;
  /** Slots whose nodes are lost. */
  readonly #lost = new Set<number>();
  #nodeBytes = 0;
  /** Made when it is needed: a page that is only read has none. */
  #writer: PageWriter | undefined;
  /** The decoded block, until a change. */
  #page: Page | undefined;
  /** Whether the block has a header and a directory for its present content. */
  #isComplete = true;
  /** Whether a node was replaced, so that the checksum that the writer has so far is wrong. */
  #hasUpdates = false;
  #isDirty = true;
  #isFinalized = false;
  /** Whether nodes can be added, if there is room; undefined if that is not known yet. */
  #acceptsNodes: boolean | undefined = true;
  /** The first problem that makes nodes unsafe to change: null if there is none, undefined if that is not known yet. */
  #error: Problem | null | undefined = null;

  protected constructor(pageFormat: PageFormat, pageBytes: number) {
    this.pageFormat = pageFormat;
    assertPageSize(`${this.#name}: pageBytes`, pageBytes);
    this.#block = new Uint8Array(pageBytes);
    this.#block.set(encodeEmptyPageHeader(pageFormat, pageBytes));
  }

  /**
   * A page of the class that the magic of `bytes` belongs to; the two classes have a `from` of their own.
   * @param bytes - a page of a power of two from 4,096 to 262,144 bytes; copied
   * @throws {@link PageStoreError} the code of the first error in the page, unless `unchecked` is set; `PAGE_MAGIC` without
   * a page magic, also then. TypeError or RangeError for a wrong parameter or option
   */
  static from(bytes: Uint8Array, options: FromBytesOptions = {}): ByteNodeArenaV1 | ByteNodeArenaV2 {
    assertPage('ByteNodeArena.from', bytes, options);
    const format = pageFormatOf(bytes);
    if (format === undefined) throw pageError(magicProblem(bytes, `${hex(PAGE_MAGIC.v1)} or ${hex(PAGE_MAGIC.v2)}`));
    return format === 'v1' ? ByteNodeArenaV1.from(bytes, options) : ByteNodeArenaV2.from(bytes, options);
  }

  /** Size of the page: a power of two from 4,096 to 262,144. */
  get pageBytes(): number {
    return this.#block.length;
  }

  /** Nodes that can be read, without lost ones; in a damaged page perhaps fewer than its header says. */
  get nodeCount(): number {
    return this.#slotCount - this.#lost.size;
  }

  /** Slots of nodes, and those whose nodes are lost; the next node gets this number. */
  get slotCount(): number {
    return this.#slotCount;
  }

  /** Slots without a node, which was lost before: `recover` keeps their numbers. @see docs/format.md#lost-slots */
  get lostSlots(): number {
    return this.#lost.size;
  }

  /** Bytes of all nodes. */
  get nodeBytes(): number {
    return this.#nodeBytes;
  }

  /** Bytes of the slots of all nodes. */
  get directoryBytes(): number {
    if (this.#writer) return this.#writer.directoryBytes;
    const { directory } = this.page;
    return directory.end - directory.start;
  }

  /**
   * Bytes after the last node that the directory does not take: for new nodes and their slots. Each takes 8 bytes for its
   * slot in a V1 page, which keeps 64 bytes free besides, and 2 to 8 in a V2 page; {@link canAllocate} is exact.
   */
  get freeBytes(): number {
    const freeOffset = this.#writer ? this.#writer.freeOffset : this.page.header.freeOffset;
    return Math.max(0, this.pageBytes - freeOffset - this.directoryBytes);
  }

  /** Whether the page has changed since it was made from bytes or {@link markClean} was called; true for a new page. */
  get isDirty(): boolean {
    return this.#isDirty;
  }

  /** Whether the page takes no more nodes because {@link finalize} was called, now or before it was stored. */
  get isFinalized(): boolean {
    return this.#isFinalized;
  }

  /**
   * The page with header, directory and checksum, as a file stores it: a view, valid until the page changes. Do not write
   * to it. Bytes that the page was made from are unchanged until it changes.
   */
  get bytes(): Uint8Array {
    this.#complete();
    return this.#block;
  }

  /** {@link bytes}, decoded: for `pageRegions`, `pageProblems` and `nodesOf`. Valid until the page changes. */
  get page(): Page {
    this.#complete();
    return (this.#page ??= decodePageAs(this.pageFormat, this.#block));
  }

  /** Where the header is in the page: bytes 0 to 63. */
  get headerRange(): ByteRange {
    return { start: 0, end: PAGE_HEADER_BYTES };
  }

  /** Where the directory is in {@link bytes}. Without nodes it is empty and at the end of the page. */
  get directoryRange(): ByteRange {
    const { start, end } = this.page.directory;
    return { start, end };
  }

  /**
   * Whether {@link allocate} takes a node of `length` bytes now. It is exact, and {@link finalize} keeps what was taken:
   * the slots of all nodes are counted. False if the page is finalized, is damaged, or has node bytes without a directory.
   * @throws RangeError unless `length` is a whole number
   */
  canAllocate(length: number): boolean {
    assertWholeNumber('canAllocate', 'length', length);
    return this.#damage() === undefined && (this.#openWriter()?.fits(length) ?? false);
  }

  /**
   * Adds the node `source[start, end)`, which is copied.
   * @returns its slot; undefined, with nothing changed, if {@link canAllocate} is false
   * @throws {@link PageStoreError} the first error of a damaged page; TypeError, RangeError for a wrong source or range
   */
  allocate(source: Uint8Array, start: number = 0, end: number = lengthOf(source)): number | undefined {
    assertByteRange(source, start, end);
    this.#assertUndamaged();
    const writer = this.#openWriter();
    if (writer === undefined || !writer.add(source, start, end)) return undefined;
    const length = end - start;
    this.#addSlot(writer.freeOffset - length, length);
    this.#changed();
    return this.#slotCount - 1;
  }

  /**
   * Reads one node: a view, valid as long as it is held; {@link update} changes it. Do not write to it.
   * @throws {@link PageStoreError} `SLOT_RANGE` if there is no such slot; `SLOT_LOST` if its node is lost; `SLOT_BOUNDS` if
   * the slot of a damaged page points past the end of the page. RangeError unless `slot` is a whole number
   */
  read(slot: number): Uint8Array {
    const { start, end } = this.#rangeOf('read', slot);
    if (end <= this.pageBytes) return this.#block.subarray(start, end);
    const message = `slot ${slot}: the node at ${start} with ${counted(end - start, 'byte')} is not within the ${this.pageBytes} bytes of the page`;
    throw new PageStoreError('SLOT_BOUNDS', message, { slot, found: `${start}+${end - start}` });
  }

  /** All nodes in the order of their slots, as {@link read} returns them, without lost slots. */
  *nodes(): Generator<Uint8Array, void> {
    for (let slot = 0; slot < this.#slotCount; slot++) if (!this.#lost.has(slot)) yield this.read(slot);
  }

  /**
   * Replaces a node by one of the same length, also in a finalized page.
   * @throws {@link PageStoreError} `SLOT_RANGE`, `SLOT_LOST`, `NODE_LENGTH`, the first error of a damaged page; TypeError, RangeError for
   * a wrong parameter
   */
  update(slot: number, bytes: Uint8Array): void {
    assertBytes('update', 'bytes', bytes);
    this.#assertUndamaged();
    const { start, end } = this.#rangeOf('update', slot);
    if (bytes.length !== end - start) {
      const message = `the node in slot ${slot} has ${counted(end - start, 'byte')} and can only be replaced by a node of the same length, not of ${bytes.length}`;
      throw new PageStoreError('NODE_LENGTH', message, { slot });
    }
    this.#block.set(bytes, start);
    this.#hasUpdates = true;
    this.#changed();
  }

  /**
   * Where a node is in the page; in a damaged page as its slot says, perhaps outside.
   * @throws {@link PageStoreError} `SLOT_RANGE`, `SLOT_LOST`; RangeError unless `slot` is a whole number
   */
  slotRange(slot: number): ByteRange {
    return this.#rangeOf('slotRange', slot);
  }

  /**
   * Where the slot of a node, also of a lost one, is in {@link bytes}, within {@link directoryRange}.
   * @throws {@link PageStoreError} `SLOT_RANGE`; RangeError unless `slot` is a whole number
   */
  entryRange(slot: number): ByteRange {
    this.#assertSlot('entryRange', slot);
    return slotEntry(this.page, slot);
  }

  /**
   * Completes the page: it takes no more nodes, and a V2 directory stands directly after the nodes, where other programs
   * write it. A page that is finalized is not changed.
   * @throws {@link PageStoreError} the first error of a damaged page; `NODES_WITHOUT_DIRECTORY` for a V2 page that the
   * program that wrote it can still complete
   */
  finalize(): void {
    this.#assertUndamaged();
    if (this.#isFinalized) return;
    const writer = this.#openWriter();
    for (const problem of writer ? [] : this.problems()) {
      if (problem.code === 'NODES_WITHOUT_DIRECTORY') throw pageError(problem);
    }
    PAGE_HEADER.set('flags', PAGE_HEADER.read(this.#block).flags | PAGE_FLAG.finalized, this.#block);
    this.#isFinalized = true;
    this.#acceptsNodes = false;
    this.#changed();
  }

  /** Sets {@link isDirty} to false, after the page was stored. */
  markClean(): void {
    this.#isDirty = false;
  }

  /** What is wrong with the page: nothing unless it was made from bytes. Offsets are from the start of the page. */
  *problems(): Generator<Problem, void> {
    if (pageFormatOf(this.#block) !== this.pageFormat) yield this.#magicProblem();
    yield* pageProblems(this.page, NO_BLOCK);
  }

  /** Takes the content of `bytes`, which have the size of this page. */
  protected load(bytes: Uint8Array, { unchecked = false }: FromBytesOptions): this {
    this.#block.set(bytes);
    this.#isDirty = false;
    this.#error = undefined;
    this.#acceptsNodes = undefined;
    if (!unchecked) this.#assertUndamaged();
    const { header, directory } = this.page;
    this.#isFinalized = isFinalized(header);
    this.#slots = new Uint32Array(2 * Math.max(FIRST_SLOTS, directory.count));
    const facts = new PageFacts(this.page, NO_BLOCK);
    const hasLost = facts.lostSlots > 0;
    for (let slot = 0; slot < directory.count; slot++) {
      if (hasLost && facts.isLost(slot)) this.#lost.add(slot);
      this.#addSlot(directory.nodeOffset(slot), directory.nodeBytes(slot));
    }
    return this;
  }

  get #name(): string {
    return `ByteNodeArena${this.pageFormat.toUpperCase()}`;
  }

  #addSlot(offset: number, length: number): void {
    const at = 2 * this.#slotCount;
    if (at === this.#slots.length) {
      const grown = new Uint32Array(2 * at);
      grown.set(this.#slots);
      this.#slots = grown;
    }
    this.#slots[at] = offset;
    this.#slots[at + 1] = length;
    this.#slotCount++;
    this.#nodeBytes += length;
  }

  #changed(): void {
    this.#isDirty = true;
    this.#isComplete = false;
    this.#page = undefined;
  }

  /** Writes directory, header and checksum, if the page has changed. */
  #complete(): void {
    if (this.#isComplete) return;
    const writer = (this.#writer ??= openWriterOf(decodePageAs(this.pageFormat, this.#block)));
    // Nothing may still refer to an older directory, so each is placed as if it were the last one.
    const plan = writer.plan('full');
    const nodes = this.#block.subarray(NODE_AREA_OFFSET, plan.freeOffset);
    completePage(writer, this.#hasUpdates ? { ...plan, nodesCrc: crc32(nodes) } : plan);
    writer.committed();
    writer.releaseDirectory();
    this.#isComplete = true;
  }

  /** Undefined if the page takes no nodes; the page has no errors. */
  #openWriter(): PageWriter | undefined {
    this.#acceptsNodes ??= acceptsNodes(this.page);
    if (!this.#acceptsNodes) return undefined;
    return (this.#writer ??= openWriterOf(this.page));
  }

  #damage(): Problem | undefined {
    if (this.#error === undefined) {
      const isOfFormat = pageFormatOf(this.#block) === this.pageFormat;
      this.#error = (isOfFormat ? new PageFacts(this.page, NO_BLOCK).error : this.#magicProblem()) ?? null;
    }
    return this.#error ?? undefined;
  }

  #assertUndamaged(): void {
    const error = this.#damage();
    if (error) throw pageError(error);
  }

  #magicProblem(): Problem {
    return magicProblem(this.#block, hex(PAGE_MAGIC[this.pageFormat]));
  }

  #rangeOf(call: string, slot: number): ByteRange {
    this.#assertSlot(call, slot);
    if (this.#lost.has(slot)) {
      const message = `the node in slot ${slot} is lost: the file that the page is of was recovered without it, and only its number is kept`;
      throw new PageStoreError('SLOT_LOST', message, { slot });
    }
    const start = this.#slots[2 * slot] as number; // 0 <= slot < slotCount, as is the next
    return { start, end: start + (this.#slots[2 * slot + 1] as number) };
  }

  #assertSlot(call: string, slot: number): void {
    if (Number.isInteger(slot) && slot >= 0 && slot < this.#slotCount) return;
    assertWholeNumber(call, 'slot', slot);
    const slots = this.#slotCount === 0 ? 'it is empty' : `it has slots 0 to ${this.#slotCount - 1}`;
    throw new PageStoreError('SLOT_RANGE', `there is no slot ${slot} in the page: ${slots}`, { slot });
  }

  static {
    showAs(this, (page) => {
      const { pageBytes, nodeCount, freeBytes, isFinalized, isDirty } = page;
      const state = `isFinalized: ${isFinalized}, isDirty: ${isDirty}`;
      return `${page.#name} { pageBytes: ${pageBytes}, nodeCount: ${nodeCount}, freeBytes: ${freeBytes}, ${state} }`;
    });
  }
}

/** A V1 page in memory: a directory of 8-byte slots that grows down from the end of the page. @see docs/format.md#v1-directory */
export class ByteNodeArenaV1 extends ByteNodeArena {
  declare readonly pageFormat: 'v1';

  /**
   * An empty page.
   * @throws RangeError unless `pageBytes` is a power of two from 4,096 to 262,144; a file takes pages of 262,144 alone
   */
  constructor(pageBytes: number = BLOCK_BYTES) {
    super('v1', pageBytes);
  }

  /** As {@link ByteNodeArena.from}. Bytes with another magic are refused with `PAGE_MAGIC`, but taken if `unchecked` is set. */
  static override from(bytes: Uint8Array, options: FromBytesOptions = {}): ByteNodeArenaV1 {
    assertPage('ByteNodeArenaV1.from', bytes, options);
    return new ByteNodeArenaV1(bytes.length).load(bytes, options);
  }
}

/** Sizes of the directory of a V2 page in bytes. */
export interface DirectorySavings {
  /** With the 8-byte slots of a V1 page. */
  readonly fixedBytes: number;
  /** As it is. */
  readonly varintBytes: number;
}

/** A V2 page in memory: a directory of varints, directly after the nodes. @see docs/format.md#v2-directory */
export class ByteNodeArenaV2 extends ByteNodeArena {
  declare readonly pageFormat: 'v2';

  /** As {@link ByteNodeArenaV1}. */
  constructor(pageBytes: number = BLOCK_BYTES) {
    super('v2', pageBytes);
  }

  /** As {@link ByteNodeArenaV1.from}. */
  static override from(bytes: Uint8Array, options: FromBytesOptions = {}): ByteNodeArenaV2 {
    assertPage('ByteNodeArenaV2.from', bytes, options);
    return new ByteNodeArenaV2(bytes.length).load(bytes, options);
  }

  /** The size of the directory, and that of one with fixed slots. */
  get directorySavings(): DirectorySavings {
    return { fixedBytes: V1_SLOT_BYTES * this.slotCount, varintBytes: this.directoryBytes };
  }
}

function assertPage(call: string, bytes: Uint8Array, options: FromBytesOptions): void {
  assertBytes(call, 'bytes', bytes);
  assertPageSize(`${call}: bytes.length`, bytes.length);
  checkOptions(call, options, { unchecked: 'boolean' });
}

/** A writer that may move the directory: no file refers to it. */
function openWriterOf(page: Page): PageWriter {
  const writer = openPageWriter(page);
  writer.releaseDirectory();
  return writer;
}

function magicProblem(block: Uint8Array, expected: string): Problem {
  return pageFieldProblem(NO_BLOCK, 'PAGE_MAGIC', 'magic', hex(firstU64(block), 16), expected);
}

function pageError(problem: Problem): PageStoreError {
  const { code, message, severity: _, block: __, ...detail } = problem;
  return new PageStoreError(code, message, detail);
}
