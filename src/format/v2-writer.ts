import { Copier, copyViewed } from '../bytes/buffer.ts';
import { crc32 } from '../bytes/checksum.ts';
import { varintBytes, writeVarint } from '../bytes/encodings.ts';
import { NODE_AREA_OFFSET } from './layout.ts';
import type { PageHeader } from './page-header.ts';
import type { PageOutlook, PagePlan, PageWriter } from './page-writer.ts';
import type { ByteRange } from './slots.ts';

/** From here on, the varint of an offset takes one more byte. */
const LONG_OFFSET = 65_536;

/** A few usual nodes, for the estimate while a page has few. */
const PRIOR = { nodes: 4, nodeBytes: 4 * 43, entryBytes: 4 * 5 } as const;

/**
 * Predicts the directory start at which nodes and directory run out of space at about the same time. At least
 * `freeOffset`, with room for the present directory.
 */
function idealDirectoryStart(pageBytes: number, freeOffset: number, nodeCount: number, directoryBytes: number): number {
  const nodes = nodeCount + PRIOR.nodes;
  const nodeBytes = (freeOffset - NODE_AREA_OFFSET + PRIOR.nodeBytes) / nodes;
  // Later pairs have longer offsets than those in the first quarter of the block.
  const shortShare = Math.min(1, LONG_OFFSET / freeOffset);
  const laterEntryBytes = (directoryBytes + PRIOR.entryBytes) / nodes + shortShare;
  const room = pageBytes - freeOffset - directoryBytes;
  const stillShort = Math.max(0, LONG_OFFSET - freeOffset) / Math.max(room, 1);
  const entryBytes = laterEntryBytes - Math.min(1, stillShort);
  return freeOffset + Math.floor((room * nodeBytes) / (nodeBytes + entryBytes));
}

const FIRST_DIRECTORY_BYTES = 8192;

/** Two varints of 0. */
const LOST_PAIR_BYTES = 2;

const NO_RANGE: ByteRange = { start: 0, end: 0 };

const overlap = (a: ByteRange, b: ByteRange): boolean => a.start < b.end && b.start < a.end;

/**
 * Appends nodes to a V2 page. Nodes grow up towards the directory, which grows up towards the block's end, so a commit
 * writes only new nodes and pairs. If one runs out of space, the whole directory is written elsewhere in free space.
 * @see docs/format.md#open-v2-pages
 */
export class V2PageWriter implements PageWriter {
  readonly format = 'v2';
  readonly block: Uint8Array;
  readonly #view: DataView;
  readonly #pageBytes: number;
  readonly #copier = new Copier();
  /** With pairs that are not in the block yet. */
  #directory: Uint8Array;
  #directoryBytes: number;
  #nodeCount: number;
  #freeOffset: number;
  #committedFree: number;
  /** The directory of the committed header. */
  #current: ByteRange;
  /** The one committed before: a commit record or a concurrent reader may still use it. */
  #previous: ByteRange = NO_RANGE;
  #planned: ByteRange;
  // CRCs of the content so far, so that a commit reads only what is new.
  #nodesCrc = 0;
  #nodesCrcEnd: number = NODE_AREA_OFFSET;
  #directoryCrc = 0;
  #directoryCrcBytes = 0;
  #usedBytesAtMove: number;

  /** @param spare - for an empty page: an unused writer, whose memory is reused @param header - valid, of `block` */
  constructor(block: Uint8Array, header: PageHeader, directoryEnd: number, spare?: V2PageWriter) {
    this.block = block;
    this.#view = new DataView(block.buffer, block.byteOffset, block.length);
    this.#pageBytes = block.length;
    this.#nodeCount = header.nodeCount;
    this.#freeOffset = this.#committedFree = header.freeOffset;
    this.#current = header.nodeCount === 0 ? NO_RANGE : { start: header.directoryStart, end: directoryEnd };
    this.#planned = this.#current;
    this.#directoryBytes = this.#current.end - this.#current.start;
    this.#directory = spare ? spare.#directory : new Uint8Array(Math.max(FIRST_DIRECTORY_BYTES, this.#directoryBytes));
    this.#directory.set(block.subarray(this.#current.start, this.#current.end));
    this.#usedBytesAtMove = this.#usedBytes;
  }

  get nodeCount(): number {
    return this.#nodeCount;
  }

  get freeOffset(): number {
    return this.#freeOffset;
  }

  get directoryBytes(): number {
    return this.#directoryBytes;
  }

  get #usedBytes(): number {
    return this.#freeOffset - NODE_AREA_OFFSET + this.#directoryBytes;
  }

  fits(nodeBytes: number): boolean {
    const offset = this.#nextNodeOffset(nodeBytes);
    const directoryBytes = this.#directoryBytes + varintBytes(offset) + varintBytes(nodeBytes);
    return this.#hasRoom(offset + nodeBytes, directoryBytes);
  }

  add(source: Uint8Array, start: number, end: number): boolean {
    const offset = this.#addPair(end - start);
    if (offset < 0) return false;
    this.#copier.copy(source, start, end, this.block, this.#view, offset);
    return true;
  }

  addLost(): boolean {
    const directoryBytes = this.#directoryBytes + LOST_PAIR_BYTES;
    if (!this.#hasRoom(this.#freeOffset, directoryBytes)) return false;
    if (directoryBytes > this.#directory.length) this.#growDirectory();
    this.#directory.fill(0, this.#directoryBytes, directoryBytes);
    this.#directoryBytes = directoryBytes;
    this.#nodeCount++;
    return true;
  }

  addMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    // Nodes are contiguous in the page too, except around a directory in between.
    let [runSource, runStart, runEnd] = [start, this.#freeOffset, this.#freeOffset];
    let index = from;
    for (; index < to; index++) {
      const nodeBytes = lengths[index] as number; // from <= index < to <= lengths.length
      const offset = this.#addPair(nodeBytes);
      if (offset < 0) break;
      if (offset !== runEnd) {
        this.#copier.copy(source, runSource, runSource + runEnd - runStart, this.block, this.#view, runStart);
        runSource += runEnd - runStart;
        runStart = offset;
      }
      runEnd = offset + nodeBytes;
    }
    this.#copier.copy(source, runSource, runSource + runEnd - runStart, this.block, this.#view, runStart);
    return index - from;
  }

  addRanges(source: Uint8Array, base: number, words: Int32Array, from: number, to: number): number {
    const { block } = this;
    const view = this.#view;
    const sourceView = new DataView(source.buffer, source.byteOffset, source.length);
    // The nodes that are not copied yet lie end to end, in the source and in the page.
    let [runStart, runEnd, runOffset, runOffsetEnd] = [0, 0, 0, 0];
    let at = from;
    for (; at < to; at += 2) {
      const start = (words[at] as number) - base; // from <= at < to <= words.length
      const nodeBytes = words[at + 1] as number;
      const offset = this.#addPair(nodeBytes);
      if (offset < 0) break;
      if (start !== runEnd || offset !== runOffsetEnd) {
        copyViewed(source, sourceView, runStart, runEnd, block, view, runOffset);
        runStart = start;
        runOffset = offset;
      }
      runEnd = start + nodeBytes;
      runOffsetEnd = offset + nodeBytes;
    }
    copyViewed(source, sourceView, runStart, runEnd, block, view, runOffset);
    return at;
  }

  /** @returns the offset of the node; -1, with nothing changed, if there is no room */
  #addPair(nodeBytes: number): number {
    const offset = this.#nextNodeOffset(nodeBytes);
    const directoryBytes = this.#directoryBytes + varintBytes(offset) + varintBytes(nodeBytes);
    if (!this.#hasRoom(offset + nodeBytes, directoryBytes)) return -1;
    if (directoryBytes > this.#directory.length) this.#growDirectory();
    writeVarint(nodeBytes, this.#directory, writeVarint(offset, this.#directory, this.#directoryBytes));
    this.#directoryBytes = directoryBytes;
    this.#freeOffset = offset + nodeBytes;
    this.#nodeCount++;
    return offset;
  }

  plan(outlook: PageOutlook): PagePlan {
    const directory = this.#directory.subarray(0, this.#directoryBytes);
    this.#nodesCrc = crc32(this.block.subarray(this.#nodesCrcEnd, this.#freeOffset), this.#nodesCrc);
    this.#nodesCrcEnd = this.#freeOffset;
    this.#directoryCrc = crc32(directory.subarray(this.#directoryCrcBytes), this.#directoryCrc);
    this.#directoryCrcBytes = this.#directoryBytes;
    const start = this.#nodeCount === 0 ? this.#freeOffset : this.#placeDirectory(outlook);
    const from = start === this.#current.start ? this.#current.end - start : 0;
    this.#planned = { start, end: start + this.#directoryBytes };
    this.block.set(directory.subarray(from), start + from);
    return {
      nodeCount: this.#nodeCount,
      freeOffset: this.#freeOffset,
      directoryStart: start,
      directoryLength: this.#directoryBytes,
      nodesCrc: this.#nodesCrc,
      directoryCrc: this.#directoryCrc,
      written: [
        { start: this.#committedFree, end: this.#freeOffset },
        { start: start + from, end: this.#planned.end },
      ],
    };
  }

  committed(): void {
    this.#copier.release();
    if (this.#planned.start !== this.#current.start) this.#usedBytesAtMove = this.#usedBytes;
    this.#previous = this.#current;
    this.#current = this.#planned;
    this.#committedFree = this.#freeOffset;
  }

  releaseDirectory(): void {
    this.#current = this.#previous = this.#planned = NO_RANGE;
  }

  /** After the last node, and past a committed directory in between. */
  #nextNodeOffset(nodeBytes: number): number {
    let offset = this.#freeOffset;
    for (;;) {
      const end = offset + nodeBytes;
      if (offset < this.#current.end && end > this.#current.start) offset = this.#current.end;
      else if (offset < this.#previous.end && end > this.#previous.start) offset = this.#previous.end;
      else return offset;
    }
  }

  #hasRoom(nodesEnd: number, directoryBytes: number): boolean {
    if (nodesEnd + directoryBytes > this.#pageBytes) return false;
    if (this.#current === NO_RANGE) return true;
    return this.#canStay(nodesEnd, directoryBytes) || this.#largestGap(nodesEnd, directoryBytes) !== undefined;
  }

  #canStay(nodesEnd: number, directoryBytes: number): boolean {
    const { start, end } = this.#current;
    const grown = { start: end, end: start + directoryBytes };
    if (end <= start || nodesEnd > start || grown.end > this.#pageBytes) return false;
    return this.#previous.start === start || !overlap(grown, this.#previous);
  }

  /** The largest free range above `nodesEnd`; undefined if it is shorter than `directoryBytes`. */
  #largestGap(nodesEnd: number, directoryBytes: number): ByteRange | undefined {
    let largest: ByteRange = NO_RANGE;
    let start = nodesEnd;
    const obstacles = [this.#current, this.#previous].filter((range) => range.end > start);
    obstacles.sort((a, b) => a.start - b.start);
    for (const range of [...obstacles, { start: this.#pageBytes, end: this.#pageBytes }]) {
      if (range.start - start > largest.end - largest.start) largest = { start, end: range.start };
      start = Math.max(start, range.end);
    }
    return largest.end - largest.start >= directoryBytes ? largest : undefined;
  }

  #placeDirectory(outlook: PageOutlook): number {
    const nodesEnd = this.#freeOffset;
    const bytes = this.#directoryBytes;
    const ideal = idealDirectoryStart(this.#pageBytes, nodesEnd, this.#nodeCount, bytes);
    if (this.#canStay(nodesEnd, bytes)) {
      const { start } = this.#current;
      if (outlook === 'full' || !this.#isWorthMoving(ideal)) return start;
      return this.#nearestFree(ideal, nodesEnd) ?? start;
    }
    const gap = this.#largestGap(nodesEnd, bytes) as ByteRange; // add() left room for the directory
    return outlook === 'full' ? gap.start : Math.min(Math.max(ideal, gap.start), gap.end - bytes);
  }

  /** Whether the content has doubled since the last move, which rewrites the directory, or one side is almost full. */
  #isWorthMoving(ideal: number): boolean {
    const { start } = this.#current;
    const error = Math.abs(ideal - start);
    if (error < 512) return false;
    const nodeRoom = start - this.#freeOffset;
    const directoryRoom = this.#pageBytes - start - this.#directoryBytes;
    return this.#usedBytes >= 2 * this.#usedBytesAtMove || Math.min(nodeRoom, 8 * directoryRoom) < 2 * error;
  }

  /** The free start nearest to `ideal`, if at most half as far from it as the current one. */
  #nearestFree(ideal: number, nodesEnd: number): number | undefined {
    const bytes = this.#directoryBytes;
    const { start, end } = this.#current;
    const starts = [ideal, end, start - bytes, this.#previous.end, this.#previous.start - bytes];
    const near = starts.filter((candidate) => Math.abs(candidate - ideal) <= Math.abs(start - ideal) / 2);
    near.sort((a, b) => Math.abs(a - ideal) - Math.abs(b - ideal));
    return near.find((candidate) => {
      const range = { start: candidate, end: candidate + bytes };
      const inside = candidate >= nodesEnd && range.end <= this.#pageBytes;
      return inside && !overlap(range, this.#current) && !overlap(range, this.#previous);
    });
  }

  #growDirectory(): void {
    const grown = new Uint8Array(Math.min(2 * this.#directory.length, this.#pageBytes - NODE_AREA_OFFSET));
    grown.set(this.#directory.subarray(0, this.#directoryBytes));
    this.#directory = grown;
  }
}
