import { Copier } from '../bytes/buffer.ts';
import { crc32 } from '../bytes/checksum.ts';
import { varintBytes, writeVarint } from '../bytes/varint.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET } from './layout.ts';
import type { PageHeader } from './page-header.ts';
import type { PageOutlook, PagePlan, PageWriter } from './page-writer.ts';
import type { ByteRange } from './slots.ts';

/** Offsets from here on take a byte more in a varint. */
const LONG_OFFSET = 65_536;

/** What is expected of a page before it has nodes of its own: a few of the usual length. */
const PRIOR = { nodes: 4, nodeBytes: 4 * 43, entryBytes: 4 * 5 } as const;

/**
 * Says where the directory of an open V2 page should begin, so that the nodes below it and the directory
 * itself come to their ends at about the same time.
 */
export class DirectoryForecast {
  /** Bytes of nodes and directory when the directory was placed last. */
  #placedAt: number;

  constructor(freeOffset: number, directoryBytes: number) {
    this.#placedAt = used(freeOffset, directoryBytes);
  }

  placed(freeOffset: number, directoryBytes: number): void {
    this.#placedAt = used(freeOffset, directoryBytes);
  }

  /** Where the directory should begin, by the nodes seen so far: at least `freeOffset`, and with room for what there is of it. */
  idealStart(freeOffset: number, nodeCount: number, directoryBytes: number): number {
    const nodes = nodeCount + PRIOR.nodes;
    const nodeBytes = (freeOffset - NODE_AREA_OFFSET + PRIOR.nodeBytes) / nodes;
    // Pairs to come have longer offsets than those in the first quarter of the block.
    const shortShare = Math.min(1, LONG_OFFSET / freeOffset);
    const laterEntryBytes = (directoryBytes + PRIOR.entryBytes) / nodes + shortShare;
    const room = BLOCK_BYTES - freeOffset - directoryBytes;
    const stillShort = Math.max(0, LONG_OFFSET - freeOffset) / Math.max(room, 1);
    const entryBytes = laterEntryBytes - Math.min(1, stillShort);
    return freeOffset + Math.floor((room * nodeBytes) / (nodeBytes + entryBytes));
  }

  /**
   * Whether a directory at `start` should move to `ideal` although it could stay. Moving costs as much as the
   * directory is long, so it is done when the page's content has doubled since, or when one side is about to end.
   */
  worthMoving(freeOffset: number, start: number, directoryBytes: number, ideal: number): boolean {
    const error = Math.abs(ideal - start);
    if (error < 512) return false;
    const doubled = used(freeOffset, directoryBytes) >= 2 * this.#placedAt;
    const nodeRoom = start - freeOffset;
    const directoryRoom = BLOCK_BYTES - start - directoryBytes;
    return doubled || Math.min(nodeRoom, 8 * directoryRoom) < 2 * error;
  }
}

const used = (freeOffset: number, directoryBytes: number): number => freeOffset - NODE_AREA_OFFSET + directoryBytes;

const FIRST_DIRECTORY_BYTES = 8192;

const NOWHERE: ByteRange = { start: 0, end: 0 };

const overlap = (a: ByteRange, b: ByteRange): boolean => a.start < b.end && b.start < a.end;

/**
 * Appends nodes to a V2 page. While the page is open its directory stands apart from the nodes: nodes grow
 * up towards it, and it grows up towards the end of the block, so that a commit writes new nodes and new
 * pairs alone. Where one of the two meets its end, the whole directory is written once more in free space.
 * @see docs/format.md, "V2 pages that are still open"
 */
export class V2PageWriter implements PageWriter {
  readonly format = 'v2';
  readonly block: Uint8Array;
  readonly #view: DataView;
  readonly #copier = new Copier();
  /** The encoded directory, pairs included that are not in the block yet. */
  #directory: Uint8Array;
  #directoryBytes: number;
  #nodeCount: number;
  #freeOffset: number;
  #committedFree: number;
  /** The directory that the committed header names. */
  #home: ByteRange;
  /** The one committed before it: a commit record, or a reader at work, may still need it. */
  #previous: ByteRange = NOWHERE;
  #planned: ByteRange;
  // Sums of what is in the page so far: a commit reads what is new, and not the page.
  #nodesCrc = 0;
  #summedFree: number = NODE_AREA_OFFSET;
  #directoryCrc = 0;
  #summedDirectory = 0;
  readonly #forecast: DirectoryForecast;

  /**
   * @param header - of the sound page in `block`, its directory ending at `directoryEnd`
   * @param spare - a writer that is no longer used, for the memory that it has
   */
  constructor(block: Uint8Array, header: PageHeader, directoryEnd: number, spare?: V2PageWriter) {
    this.block = block;
    this.#view = new DataView(block.buffer, block.byteOffset, BLOCK_BYTES);
    this.#nodeCount = header.nodeCount;
    this.#freeOffset = this.#committedFree = header.freeOffset;
    this.#home = header.nodeCount === 0 ? NOWHERE : { start: header.directoryStart, end: directoryEnd };
    this.#planned = this.#home;
    this.#directoryBytes = this.#home.end - this.#home.start;
    this.#directory = spare === undefined ? new Uint8Array(FIRST_DIRECTORY_BYTES) : spare.#directory;
    while (this.#directory.length < this.#directoryBytes) this.#growDirectory(0);
    this.#directory.set(block.subarray(this.#home.start, this.#home.end));
    this.#forecast = new DirectoryForecast(this.#freeOffset, this.#directoryBytes);
  }

  get nodeCount(): number {
    return this.#nodeCount;
  }

  fits(nodeBytes: number): boolean {
    const offset = this.#placeNode(nodeBytes);
    const directoryBytes = this.#directoryBytes + varintBytes(offset) + varintBytes(nodeBytes);
    return this.#hasRoom(offset + nodeBytes, directoryBytes);
  }

  add(source: Uint8Array, start: number, end: number): boolean {
    const offset = this.#place(end - start);
    if (offset < 0) return false;
    this.#copier.copy(source, start, end, this.block, this.#view, offset);
    return true;
  }

  addMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    // What stands end to end in the source does so in the page too, but for a directory in the way.
    let [runSource, runStart, runEnd] = [start, this.#freeOffset, this.#freeOffset];
    let index = from;
    for (; index < to; index++) {
      const nodeBytes = lengths[index] as number; // from <= index < to <= lengths.length
      const offset = this.#place(nodeBytes);
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

  /** Gives the next node its pair, and says where its bytes go. @returns -1, with nothing changed, where it has no room */
  #place(nodeBytes: number): number {
    const offset = this.#placeNode(nodeBytes);
    const directoryBytes = this.#directoryBytes + varintBytes(offset) + varintBytes(nodeBytes);
    if (!this.#hasRoom(offset + nodeBytes, directoryBytes)) return -1;
    if (directoryBytes > this.#directory.length) this.#growDirectory(this.#directoryBytes);
    writeVarint(nodeBytes, this.#directory, writeVarint(offset, this.#directory, this.#directoryBytes));
    this.#directoryBytes = directoryBytes;
    this.#freeOffset = offset + nodeBytes;
    this.#nodeCount++;
    return offset;
  }

  plan(outlook: PageOutlook): PagePlan {
    this.#sumUp();
    const start = this.#nodeCount === 0 ? this.#freeOffset : this.#placeDirectory(outlook);
    const stays = start === this.#home.start;
    const from = stays ? this.#home.end - this.#home.start : 0;
    this.#planned = { start, end: start + this.#directoryBytes };
    this.block.set(this.#directory.subarray(from, this.#directoryBytes), start + from);
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
    if (this.#planned.start !== this.#home.start) this.#forecast.placed(this.#freeOffset, this.#directoryBytes);
    this.#previous = this.#home;
    this.#home = this.#planned;
    this.#committedFree = this.#freeOffset;
  }

  #sumUp(): void {
    this.#nodesCrc = crc32(this.block.subarray(this.#summedFree, this.#freeOffset), this.#nodesCrc);
    this.#summedFree = this.#freeOffset;
    this.#directoryCrc = crc32(
      this.#directory.subarray(this.#summedDirectory, this.#directoryBytes),
      this.#directoryCrc,
    );
    this.#summedDirectory = this.#directoryBytes;
  }

  /** Where the next node's bytes go: behind the nodes, and past a committed directory that is in the way. */
  #placeNode(nodeBytes: number): number {
    let offset = this.#freeOffset;
    for (;;) {
      const end = offset + nodeBytes;
      if (offset < this.#home.end && end > this.#home.start) offset = this.#home.end;
      else if (offset < this.#previous.end && end > this.#previous.start) offset = this.#previous.end;
      else return offset;
    }
  }

  /** Whether a directory of `directoryBytes` has a place above nodes that end at `nodesEnd`. */
  #hasRoom(nodesEnd: number, directoryBytes: number): boolean {
    if (nodesEnd + directoryBytes > BLOCK_BYTES) return false;
    if (this.#home === NOWHERE) return true;
    return this.#canStay(nodesEnd, directoryBytes) || this.#largestGap(nodesEnd, directoryBytes) !== undefined;
  }

  #canStay(nodesEnd: number, directoryBytes: number): boolean {
    const { start, end } = this.#home;
    const grown = { start: end, end: start + directoryBytes };
    return end > start && nodesEnd <= start && grown.end <= BLOCK_BYTES && !this.#inPrevious(grown);
  }

  #inPrevious(range: ByteRange): boolean {
    return this.#previous.start !== this.#home.start && overlap(range, this.#previous);
  }

  /** The largest free range above `nodesEnd`, if it holds `directoryBytes`. */
  #largestGap(nodesEnd: number, directoryBytes: number): ByteRange | undefined {
    let largest: ByteRange = NOWHERE;
    let start = nodesEnd;
    const inTheWay = [this.#home, this.#previous].filter((range) => range.end > start);
    inTheWay.sort((a, b) => a.start - b.start);
    for (const range of [...inTheWay, { start: BLOCK_BYTES, end: BLOCK_BYTES }]) {
      if (range.start - start > largest.end - largest.start) largest = { start, end: range.start };
      start = Math.max(start, range.end);
    }
    return largest.end - largest.start >= directoryBytes ? largest : undefined;
  }

  #placeDirectory(outlook: PageOutlook): number {
    const nodesEnd = this.#freeOffset;
    const bytes = this.#directoryBytes;
    const ideal = this.#forecast.idealStart(nodesEnd, this.#nodeCount, bytes);
    if (this.#canStay(nodesEnd, bytes)) {
      const { start } = this.#home;
      if (outlook === 'full' || !this.#forecast.worthMoving(nodesEnd, start, bytes, ideal)) return start;
      return this.#nearestFree(ideal, nodesEnd) ?? start;
    }
    const gap = this.#largestGap(nodesEnd, bytes) as ByteRange; // add() left room for the directory
    return outlook === 'full' ? gap.start : Math.min(Math.max(ideal, gap.start), gap.end - bytes);
  }

  /** The free place for the directory that is nearest to `ideal`, if it is much nearer than where it is. */
  #nearestFree(ideal: number, nodesEnd: number): number | undefined {
    const bytes = this.#directoryBytes;
    const { start, end } = this.#home;
    const places = [ideal, end, start - bytes, this.#previous.end, this.#previous.start - bytes];
    const near = places.filter((place) => Math.abs(place - ideal) <= Math.abs(start - ideal) / 2);
    near.sort((a, b) => Math.abs(a - ideal) - Math.abs(b - ideal));
    return near.find((place) => {
      const range = { start: place, end: place + bytes };
      const inside = place >= nodesEnd && range.end <= BLOCK_BYTES;
      return inside && !overlap(range, this.#home) && !overlap(range, this.#previous);
    });
  }

  #growDirectory(keptBytes: number): void {
    const grown = new Uint8Array(Math.min(2 * this.#directory.length, BLOCK_BYTES - NODE_AREA_OFFSET));
    grown.set(this.#directory.subarray(0, keptBytes));
    this.#directory = grown;
  }
}
