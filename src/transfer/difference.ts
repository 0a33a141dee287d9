import type { ErrorCode, PageStoreError } from '../errors.ts';

/** A field of the file header, or of the root descriptor, that differs. */
export interface HeaderDifference {
  readonly type: 'header';
  readonly field: string;
  readonly a: string;
  readonly b: string;
}

/**
 * What a block is, or what its page is like, where that differs: `content` is page, free, unwritten or absent (behind the
 * last block of the file), `format` v1 or v2, `finalized` yes or no; `orphanedBytes` are node bytes of a page without a
 * directory, which are compared as one.
 */
export interface BlockDifference {
  readonly type: 'block';
  readonly block: number;
  readonly field: 'content' | 'format' | 'finalized' | 'orphanedBytes';
  readonly a: string;
  readonly b: string;
}

/** A node that only the second file has (`added`), or only the first (`removed`). */
export interface NodeDifference {
  readonly type: 'added' | 'removed';
  /** Where it is, in the file that has it. */
  readonly block: number;
  readonly slot: number;
  readonly bytes: number;
}

/** A node with other bytes in the same place. */
export interface ChangedNode {
  readonly type: 'changed';
  readonly block: number;
  readonly slot: number;
  readonly aBytes: number;
  readonly bBytes: number;
  /** The first byte of the node that differs; where one node begins the other, the length of the shorter. */
  readonly firstByte: number;
}

/** Something that could not be compared, since one of the files is damaged there. */
export interface Incomparable {
  readonly type: 'damaged';
  readonly file: 'a' | 'b';
  readonly code: ErrorCode;
  readonly message: string;
  readonly block?: number;
  /** Byte offset from the start of the file. */
  readonly offset?: number;
}

export type Difference = HeaderDifference | BlockDifference | NodeDifference | ChangedNode | Incomparable;

/** Hears of each difference. The next one waits for the promise, where there is one. */
export type DifferenceSink = (difference: Difference) => void | Promise<void>;

/** How many differences of each type there are. */
export type DifferenceCounts = Record<Difference['type'], number>;

/** Counts differences on their way to who wants to know them. */
export class DifferenceLog {
  readonly counts: DifferenceCounts = { header: 0, block: 0, added: 0, removed: 0, changed: 0, damaged: 0 };
  readonly #sink: DifferenceSink;
  /** Whether one difference is enough. */
  readonly stopsAtFirst: boolean;
  #isStopped = false;
  #isMuted = false;

  constructor(sink: DifferenceSink, stopsAtFirst: boolean) {
    this.#sink = sink;
    this.stopsAtFirst = stopsAtFirst;
  }

  /** Whether enough is known: nothing more has to be compared. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Whether nodes are told no more as added or removed. */
  get isMuted(): boolean {
    return this.#isMuted;
  }

  /** From here on nobody knows which nodes a file has lost, and so which ones only the other has. */
  muteSequences(): void {
    this.#isMuted = true;
  }

  /** Passes one on. @returns what the sink does; no promise where it is done at once, since there may be millions */
  add(difference: Difference): void | Promise<void> {
    if (this.#isStopped || (this.#isMuted && difference.type !== 'damaged')) return undefined;
    this.counts[difference.type]++;
    this.#isStopped = this.stopsAtFirst && difference.type !== 'damaged';
    return this.#sink(difference);
  }

  damaged(file: 'a' | 'b', { code, message, detail }: PageStoreError): void | Promise<void> {
    const { block, offset } = detail;
    return this.add({
      type: 'damaged',
      file,
      code,
      message,
      ...(block === undefined ? {} : { block }),
      ...(offset === undefined ? {} : { offset }),
    });
  }
}
