import { setImmediate } from 'node:timers/promises';
import { isZero } from '../bytes/buffer.ts';
import { crc32, flipBit, fnv1a64Into, Hash64, updateFnv1a64 } from '../bytes/checksum.ts';
import { decodeCommitRecords, hasLostRecord } from '../disk/committed-view.ts';
import type { CommitRecord } from '../format/commit-record.ts';
import {
  encodeFileHeader,
  FILE_HEADER,
  FILE_MAGIC,
  FILE_VERSION,
  type FileHeader,
  fileHeaderChecksum,
  HEADER_COPY,
  headerCopyState,
} from '../format/file-header.ts';
import { fileHeaderProblems } from '../format/header-checks.ts';
import { FILE_HEADER_BYTES, HEADER_COPY_OFFSET, MAX_BLOCKS, ROOT_DESCRIPTOR_BYTES } from '../format/layout.ts';
import { flipBack, flippedHeaderBit } from './flipped-bit.ts';

export const isValidHeader = (bytes: Uint8Array): boolean =>
  fileHeaderProblems(FILE_HEADER.read(bytes)).next().done === true;

/** Where a file header is taken from; `derived` is block 0 with one thing repaired. */
export type HeaderSource = 'block 0' | 'derived' | 'commit record' | 'header copy';

/** A valid file header that may be that of the file. */
export interface HeaderCandidate {
  readonly source: HeaderSource;
  readonly bytes: Uint8Array;
  /** What was wrong in block 0. The checksum proves a derived header with 64 bits. */
  readonly part?: DerivedHeader['part'];
  readonly record?: CommitRecord;
  /** Whether the header is the one that the record replaces, not the one that it contains. */
  readonly isReplaced?: boolean;
}

/** All evidence of the file header in block 0. */
export class HeaderEvidence {
  readonly head: Uint8Array;
  readonly wholeBlocks: number;
  /** Valid records, in ascending order of sequence number. */
  readonly records: readonly CommitRecord[];
  /** Whether a record is damaged or missing that may have been the newest. */
  readonly isRecordLost: boolean;
  readonly copy: CopiedHeader | undefined;

  /** @param head - the first 12,800 bytes of block 0 */
  constructor(head: Uint8Array, wholeBlocks: number, usesCopy = true) {
    this.head = head;
    this.wholeBlocks = wholeBlocks;
    this.records = decodeCommitRecords(head);
    this.isRecordLost = hasLostRecord(head);
    this.copy = usesCopy ? copiedHeader(head) : undefined;
  }

  get validRecords(): CommitRecord[] {
    return this.records.filter(({ fileHeader }) => isValidHeader(fileHeader));
  }

  /** Whether the copy is newer than every record: none replaces it, and neither block count nor trie went backwards. */
  get isCopyNewest(): boolean {
    const copy = this.copy?.fileHeader;
    if (copy === undefined || !isValidHeader(copy)) return false;
    const records = this.validRecords;
    const newest = records.at(-1);
    if (newest === undefined) return true;
    const sum = crc32(copy);
    const isOlder = records.some(
      ({ fileHeader, oldFileHeaderCrc }) => oldFileHeaderCrc === sum || Buffer.compare(fileHeader, copy) === 0,
    );
    if (isOlder) return false;
    const [recorded, copied] = [FILE_HEADER.read(newest.fileHeader), FILE_HEADER.read(copy)];
    if (copied.blockCount !== recorded.blockCount) return copied.blockCount > recorded.blockCount;
    if ((copied.rootPointer === 0n) !== (recorded.rootPointer === 0n)) return recorded.rootPointer === 0n;
    return copied.imageCheckpointLsn > recorded.imageCheckpointLsn;
  }

  /** The candidates of one source. Commit records: newest first, and each header replaced before the one contained. */
  async *from(source: HeaderSource, assumesMagic: boolean, signal?: AbortSignal): AsyncGenerator<HeaderCandidate> {
    const bytes = this.head.slice(0, FILE_HEADER_BYTES);
    const copy = this.copy?.fileHeader;
    if (source === 'block 0') {
      if (isValidHeader(bytes)) yield { source, bytes };
    } else if (source === 'derived') {
      if (assumesMagic) FILE_HEADER.set('magic', FILE_MAGIC, bytes);
      const derived = await headerByChecksum(bytes, this.wholeBlocks, this.#statesBefore(undefined), signal);
      if (derived) yield { source, ...derived };
    } else if (source === 'header copy') {
      if (copy && isValidHeader(copy)) yield { source, bytes: copy };
    } else {
      for (const record of this.validRecords.toReversed()) {
        for (const state of this.#statesBefore(record)) {
          const isReplaced = crc32(state) === record.oldFileHeaderCrc;
          if (isReplaced) yield { source, bytes: state, record, isReplaced };
        }
        yield { source, bytes: record.fileHeader, record };
      }
    }
  }

  #statesBefore(record: CommitRecord | undefined): Uint8Array[] {
    const older = record ? this.records.slice(0, this.records.indexOf(record)) : this.records;
    const states = older.map(({ fileHeader }) => fileHeader);
    if (this.copy) states.push(this.copy.fileHeader);
    return states.filter(isValidHeader);
  }
}

export interface HeaderPolicy<T> {
  readonly order: readonly HeaderSource[];
  /** Whether to repair a wrong magic along with one other thing. */
  readonly assumesMagic?: boolean;
  /** Stops the search for a derived header, which takes seconds with millions of blocks. */
  readonly signal?: AbortSignal | undefined;
  accept(candidate: HeaderCandidate): Promise<T | undefined>;
}

export async function resolveHeader<T>(evidence: HeaderEvidence, policy: HeaderPolicy<T>): Promise<T | undefined> {
  for (const source of policy.order) {
    for await (const candidate of evidence.from(source, policy.assumesMagic === true, policy.signal)) {
      const accepted = await policy.accept(candidate);
      if (accepted !== undefined) return accepted;
    }
  }
  return undefined;
}

/** The content of the header copy in block 0. */
export interface CopiedHeader {
  readonly fileHeader: Uint8Array;
  readonly rootDescriptor: Uint8Array;
}

/** The header copy as it is, or with one bit flipped back; undefined if its checksum does not match then. */
export function copiedHeader(head: Uint8Array): CopiedHeader | undefined {
  const stored = repairedCopy(head);
  if (stored === undefined || isZero(stored)) return undefined;
  return {
    fileHeader: stored.subarray(0, FILE_HEADER_BYTES),
    rootDescriptor: stored.subarray(FILE_HEADER_BYTES, FILE_HEADER_BYTES + ROOT_DESCRIPTOR_BYTES),
  };
}

/** All zeros if there is no copy, undefined if it is damaged by more than one flipped bit. */
export function repairedCopy(head: Uint8Array): Uint8Array | undefined {
  const stored = head.slice(HEADER_COPY_OFFSET, HEADER_COPY_OFFSET + HEADER_COPY.bytes);
  return headerCopyState(head) !== 'damaged' || flipBack(stored) ? stored : undefined;
}

export interface DerivedHeader {
  readonly part: 'reserved' | 'count' | 'bit' | 'field';
  readonly bytes: Uint8Array;
}

/**
 * Repairs a file header if its checksum proves the result: of the few that are tried, none matches 64 bits by chance.
 * @param known - other states of this header, from commit records and the copy
 */
export async function headerByChecksum(
  damaged: Uint8Array,
  wholeBlocks: number,
  known: readonly Uint8Array[],
  signal?: AbortSignal,
): Promise<DerivedHeader | undefined> {
  const bytes = withoutReserved(damaged);
  if (isValidHeader(bytes)) return { part: 'reserved', bytes };
  // Counts before bits: 2 that became 3 without a new checksum is a new block, not a flipped bit.
  return (
    (await byCount(bytes, wholeBlocks, signal)) ??
    byBit(bytes, wholeBlocks) ??
    byField(bytes, known) ??
    (await byFreeList(bytes, wholeBlocks, signal))
  );
}

/** Zeroes padding and, in version 1, the field of version 2: the checksum does not cover them. */
function withoutReserved(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  FILE_HEADER.set('padding', 0, copy);
  if (FILE_HEADER.read(copy).version === 1) FILE_HEADER.set('imageCheckpointLsn', 0n, copy);
  return copy;
}

/** libdictenstein counts a new block at once and updates the checksum at its next sync, so a lower count may match. */
async function byCount(
  bytes: Uint8Array,
  wholeBlocks: number,
  signal: AbortSignal | undefined,
): Promise<DerivedHeader | undefined> {
  const counts = {
    offset: FILE_HEADER.offsets.blockCount,
    factor: 1,
    first: 1,
    most: Math.min(wholeBlocks, MAX_BLOCKS),
  };
  const before = await withNumber(bytes, counts, signal);
  if (before === undefined) return undefined;
  const header = FILE_HEADER.read(bytes);
  const { blockCount } = FILE_HEADER.read(before);
  const hasGrown = header.blockCount > blockCount && header.blockCount === wholeBlocks;
  return { part: 'count', bytes: hasGrown ? encodeFileHeader(header) : before };
}

/** Tries every block as the first free one. */
async function byFreeList(
  bytes: Uint8Array,
  wholeBlocks: number,
  signal: AbortSignal | undefined,
): Promise<DerivedHeader | undefined> {
  const copy = bytes.slice();
  FILE_HEADER.set('freeListHead', 0n, copy);
  const most = Math.min(wholeBlocks, MAX_BLOCKS) - 1;
  const links = { offset: FILE_HEADER.offsets.freeListHead + 4, factor: 256, first: 0, most };
  const found = await withNumber(copy, links, signal);
  return found && { part: 'field', bytes: found };
}

const SLICE = 65_536;

/** Finds the number at `offset`, times `factor`, that makes the checksum match. Bytes before it are hashed once. */
async function withNumber(
  bytes: Uint8Array,
  { offset, factor, first, most }: { offset: number; factor: number; first: number; most: number },
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  const { version, checksum } = FILE_HEADER.read(bytes);
  const wantedHigh = Number(BigInt.asIntN(32, checksum >> 32n));
  const wantedLow = Number(BigInt.asIntN(32, checksum));
  const { padding, freeListHead, checksum: checksumOffset, imageCheckpointLsn } = FILE_HEADER.offsets;
  const start = new Hash64();
  fnv1a64Into(bytes, 0, Math.min(offset, padding), start);
  if (offset > freeListHead) updateFnv1a64(bytes, freeListHead, offset, start);
  const { high, low } = start;
  // The padding before the checksum is not covered.
  const parts = [bytes.subarray(Math.max(offset + 4, freeListHead), checksumOffset)];
  if (version >= 2) parts.push(bytes.subarray(imageCheckpointLsn));
  const rest = Uint8Array.from(Buffer.concat([new Uint8Array(4), ...parts]));
  const tried = new DataView(rest.buffer);
  for (let number = first; number <= most; number++) {
    if (number % SLICE === 0) {
      // The signal is only delivered between two tasks of the event loop.
      await setImmediate();
      signal?.throwIfAborted();
    }
    tried.setUint32(0, number * factor, true);
    start.high = high;
    start.low = low;
    updateFnv1a64(rest, 0, rest.length, start);
    if (start.low !== wantedLow || start.high !== wantedHigh) continue;
    const copy = bytes.slice();
    copy.set(rest.subarray(0, 4), offset);
    return isValidHeader(copy) ? copy : undefined;
  }
  return undefined;
}

function byBit(bytes: Uint8Array, wholeBlocks: number): DerivedHeader | undefined {
  const bit = flippedHeaderBit(FILE_HEADER.read(bytes), wholeBlocks);
  if (bit === undefined) return undefined;
  const copy = bytes.slice();
  flipBit(copy, bit);
  return { part: 'bit', bytes: copy };
}

/** Values that a field may have had: those that the format allows, and those in other states of the header. */
function* candidates(known: readonly FileHeader[]): Generator<Partial<FileHeader>> {
  yield { magic: FILE_MAGIC };
  for (let version = 1; version <= FILE_VERSION; version++) yield { version };
  yield { flags: 0 };
  yield { rootPointer: 0n };
  yield { entryCount: 0n };
  yield { imageCheckpointLsn: 0n };
  for (const { rootPointer, blockCount, entryCount, imageCheckpointLsn, freeListHead } of known) {
    yield { rootPointer };
    yield { blockCount };
    yield { entryCount };
    yield { imageCheckpointLsn };
    yield { freeListHead };
  }
}

function byField(bytes: Uint8Array, known: readonly Uint8Array[]): DerivedHeader | undefined {
  const header = FILE_HEADER.read(bytes);
  const states = known.map((state) => FILE_HEADER.read(state));
  for (const field of candidates(states)) {
    const candidate = { ...header, ...field };
    if (fileHeaderChecksum(candidate) !== header.checksum) continue;
    const copy = new Uint8Array(FILE_HEADER_BYTES);
    FILE_HEADER.write(candidate, copy);
    if (isValidHeader(copy)) return { part: 'field', bytes: copy };
  }
  return undefined;
}
