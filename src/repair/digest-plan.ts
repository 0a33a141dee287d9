import { decodeCommitRecords, readStart } from '../disk/committed-view.ts';
import {
  DIGEST,
  DIGEST_OFFSET,
  digestIn,
  type DigestState,
  equalHash,
  type FoundDigest,
  FILE_START_BYTES,
  newDigest,
  writeDigest,
} from '../format/digest.ts';
import { FILE_HEADER_BYTES, HEADER_COPY_OFFSET } from '../format/layout.ts';
import { flipBack } from '../salvage/flipped-bit.ts';
import { provenCommit } from '../salvage/proven-commit.ts';
import { datedRecords } from '../salvage/newer-header.ts';
import type { FileState } from './header-repair.ts';
import { HeadSums } from './head-sums.ts';

/**
 * Plans the digest of the page headers. It gets a new sum only for changes that the repair itself makes, and only if the
 * headers add up to the old one before them: what is lost stays noticed.
 */
export class DigestPlan {
  readonly sums: HeadSums;
  readonly #found: FoundDigest;
  /** The first 128 bytes of the file as of the last commit, with a bit of the digest flipped back. */
  readonly #start: Uint8Array;
  /** Whether a bit of the digest was flipped back. */
  readonly isBitRepaired: boolean;
  /** Whether the file header is from a commit record or the header copy, so that its digest may be elsewhere too. */
  readonly #isTaken: boolean;
  /** Digests that may be that of the last commit, newest first. */
  readonly #candidates: readonly DigestState[];

  private constructor(state: FileState, start: Uint8Array) {
    this.#isTaken = state.repairedHeader?.checkpointsRecords === true;
    const digest = start.slice(DIGEST_OFFSET, FILE_START_BYTES);
    this.isBitRepaired = digestIn(start).kind === 'damaged' && flipBack(digest);
    this.#start = start.slice();
    if (this.isBitRepaired) this.#start.set(digest, DIGEST_OFFSET);
    this.#found = digestIn(this.#start);
    this.#candidates = candidatesOf(state, this.#found, this.#start, this.#isTaken);
    const inBlock0 = this.#isTaken ? digestIn(state.head).state : this.#found.state;
    this.sums = new HeadSums(inBlock0 ?? newDigest());
  }

  static async open(state: FileState): Promise<DigestPlan> {
    return new DigestPlan(state, await readStart(state.view));
  }

  /** Whether the file has a digest that a change of a page header must not contradict. */
  get isBinding(): boolean {
    return this.#candidates.length > 0;
  }

  /** Whether the page headers do not add up to the digest: some are lost, or the digest is. */
  get isContradicted(): boolean {
    const isLost = this.#found.kind === 'damaged' && !this.#isTaken;
    return (this.isBinding || isLost) && this.#proven === undefined;
  }

  /** Number of the commit to whose digest the page headers add up; undefined if they add up to none. */
  get provenCommit(): number | undefined {
    return this.#proven?.commit;
  }

  /** Whether the planned changes give the headers another sum than that of the last commit. */
  get changesSum(): boolean {
    const proven = this.#proven;
    return proven !== undefined && this.#stateAfter() !== proven;
  }

  /** Whether the digest is one that was damaged in block 0. */
  get isRepaired(): boolean {
    return this.#found.kind === 'damaged' && this.#proven !== undefined;
  }

  /**
   * The first 128 bytes of the file with this header, and the digest that belongs to it.
   * @param hasStamps - whether a page has the number of a commit, so that the file had a digest
   */
  startWith(fileHeader: Uint8Array, hasStamps: boolean): Uint8Array {
    const start = this.#start.slice();
    start.set(fileHeader);
    const state = this.#stateAfter();
    if (state !== undefined) {
      writeDigest(state, start);
    } else if (this.#isTaken && this.#found.kind === 'damaged' && !hasStamps) {
      // With a header of a file that never had a digest, this is what the damage left.
      start.fill(0, DIGEST_OFFSET, DIGEST_OFFSET + DIGEST.bytes);
    } else {
      this.#renewIfOwn(start);
    }
    return start;
  }

  /** A digest of another header may be that of the repaired one. */
  #renewIfOwn(start: Uint8Array): void {
    const { kind, state } = digestIn(start);
    if (kind !== 'valid' || state === undefined || !this.sums.prove(state)) return;
    writeDigest(this.#after(state), start);
  }

  get #proven(): DigestState | undefined {
    return this.#candidates.find((candidate) => this.sums.prove(candidate));
  }

  /** Undefined if the bytes in block 0 stay as they are. */
  #stateAfter(): DigestState | undefined {
    const proven = this.#proven;
    if (proven !== undefined) return this.#after(proven);
    return this.#found.kind === 'damaged' && !this.#isTaken ? undefined : this.#candidates[0];
  }

  /** A repair that changes the sum is a commit. */
  #after(digest: DigestState): DigestState {
    const sum = this.sums.after(digest);
    return sum === undefined || equalHash(sum, digest.sum) ? digest : { ...digest, sum, commit: digest.commit + 1 };
  }
}

/** Those that belong to the file header; with a header from elsewhere, all. */
function candidatesOf(
  { head, repairedRecords, repairedHeader }: FileState,
  { kind, state }: FoundDigest,
  start: Uint8Array,
  isTaken: boolean,
): DigestState[] {
  if (!isTaken && kind !== 'damaged') return kind === 'valid' && state ? [state] : [];
  const block0 = head.slice();
  for (const { position, bytes } of repairedRecords) block0.set(bytes, position);
  // Headers that add up to an older one have lost something since.
  const proven = provenCommit(block0);
  const isNewest = ({ commit }: DigestState): boolean => commit >= proven;
  const records = datedRecords(decodeCommitRecords(block0));
  if (isTaken) {
    const inBlock0 = [state, digestIn(head).state, digestIn(head, HEADER_COPY_OFFSET).state];
    const known = inBlock0.filter((each) => each !== undefined);
    return newestFirst([...known, ...records.map(({ digest }) => digest)].filter(isNewest));
  }
  const fileHeader = repairedHeader?.bytes ?? start.subarray(0, FILE_HEADER_BYTES);
  const recorded = records.filter(({ bytes }) => Buffer.compare(bytes, fileHeader) === 0);
  // The copied header may be damaged, and its digest not.
  const copied = start.slice();
  copied.set(head.subarray(HEADER_COPY_OFFSET + DIGEST_OFFSET, HEADER_COPY_OFFSET + FILE_START_BYTES), DIGEST_OFFSET);
  const copy = digestIn(copied);
  const ofCopy = copy.kind === 'valid' && copy.state ? [copy.state] : [];
  return newestFirst([...ofCopy, ...recorded.map(({ digest }) => digest)].filter(isNewest));
}

const newestFirst = (digests: readonly DigestState[]): DigestState[] => digests.toSorted((a, b) => b.commit - a.commit);
