import { assertBlockFile, assertBytes, assertOneOf, assertWholeNumber, checkOptions, showAs } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import { SECTOR_BYTES } from '../format/layout.ts';
import type { BlockFile, Journal } from './block-file.ts';
import { MemoryBlockFile } from './block-file.ts';

/** A call of a {@link BlockFile} or its {@link Journal}. */
export type BlockFileCall =
  | { readonly kind: 'read'; readonly position: number; readonly length: number }
  /** `bytes` belongs to the caller and is valid during the call only. */
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly bytes: number }
  | { readonly kind: 'size' | 'sync' | 'close' | 'journal read' | 'journal write' | 'journal remove' };

export type BlockFileCallKind = BlockFileCall['kind'];

export interface Failure {
  /** The errno name of the error, such as `ENOSPC`. */
  readonly errno: string;
  /** Bytes of a write that reach the file. Default: about half, up to the end of a sector, as on a full disk. */
  readonly writtenBytes?: number;
}

export interface Fault extends Partial<Failure> {
  /** Kinds of calls that are counted and can fail. Default: those that change the file or its journal, and `sync`. */
  readonly on?: BlockFileCallKind | readonly BlockFileCallKind[];
  /** Only calls for which this returns true are counted. */
  readonly when?: (call: BlockFileCall) => boolean;
  /** Which of the counted calls fails. Default 1: the next one. */
  readonly nth?: number;
  /** Whether all later ones fail too. */
  readonly lasts?: boolean;
}

const KINDS: readonly BlockFileCallKind[] = [
  'read',
  'write',
  'truncate',
  'size',
  'sync',
  'close',
  'journal read',
  'journal write',
  'journal remove',
];
const CHANGES: readonly BlockFileCallKind[] = ['write', 'truncate', 'sync', 'journal write', 'journal remove'];

/**
 * Passes calls on to another block file, except those that a test makes fail: for testing against full or broken disks.
 *
 * ```ts
 * const file = new FaultyBlockFile();                       // in memory; or new FaultyBlockFile(yourBlockFile)
 * const store = await create(file);
 * file.fail({ on: 'sync', nth: 2, errno: 'EIO' });          // the second sync from now on
 * await store.append(bytes);                                // takes one sync
 * await assert.rejects(store.append(bytes), { code: 'IO' });
 * file.heal();
 * const reopened = await open(file);                        // has the first node
 * ```
 */
export class FaultyBlockFile implements BlockFile {
  /** The block file that gets all calls that do not fail. */
  readonly file: BlockFile;
  readonly name: string;
  readonly journal: Journal;
  /** Called before each call, which fails if this returns a failure: for faults that {@link fail} cannot describe. */
  onCall: ((call: BlockFileCall) => Failure | undefined) | undefined;
  readonly #counts = new Map<BlockFileCallKind, number>();
  /** `left`: calls until the fault is due. */
  #faults: { readonly fault: Fault; left: number }[] = [];

  /** @param file - by default an empty file in memory */
  constructor(file: BlockFile = new MemoryBlockFile()) {
    assertBlockFile('FaultyBlockFile', 'file', file);
    this.file = file;
    this.name = file.name;
    this.journal = {
      read: () => this.#pass({ kind: 'journal read' }, () => file.journal.read()),
      write: (bytes) => this.#pass({ kind: 'journal write' }, () => file.journal.write(bytes)),
      remove: () => this.#pass({ kind: 'journal remove' }, () => file.journal.remove()),
    };
  }

  /** Adds a fault. @throws TypeError for an unknown option; RangeError for an invalid number */
  fail(fault: Fault = {}): void {
    checkOptions('fail', fault, {
      on: 'any',
      when: 'function',
      nth: 'count',
      lasts: 'boolean',
      errno: 'string',
      writtenBytes: 'any',
    });
    if (fault.writtenBytes !== undefined) assertWholeNumber('fail', 'writtenBytes', fault.writtenBytes);
    this.#faults.push({ fault, left: fault.nth ?? 1 });
  }

  heal(): void {
    this.#faults = [];
  }

  /** Calls of a kind so far, failed ones included. */
  count(kind: BlockFileCallKind): number {
    assertOneOf('count', 'kind', kind ?? 'undefined', KINDS);
    return this.#counts.get(kind) ?? 0;
  }

  async size(): Promise<number> {
    return this.#pass({ kind: 'size' }, () => this.file.size());
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    assertBytes('read', 'target', target);
    return this.#pass({ kind: 'read', position, length: target.length }, () => this.file.read(target, position));
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    assertBytes('write', 'source', source);
    assertWholeNumber('write', 'position', position);
    const call: BlockFileCall = { kind: 'write', position, bytes: source };
    const failure = this.#failureOf(call);
    if (failure === undefined) return this.file.write(source, position);
    const end = position + source.length / 2;
    const { writtenBytes = end - (end % SECTOR_BYTES) - position } = failure;
    if (writtenBytes > 0) await this.file.write(source.subarray(0, writtenBytes), position);
    throw this.#error(call, failure);
  }

  async truncate(bytes: number): Promise<void> {
    return this.#pass({ kind: 'truncate', bytes }, () => this.file.truncate(bytes));
  }

  async sync(): Promise<void> {
    return this.#pass({ kind: 'sync' }, () => this.file.sync());
  }

  /** Not counted: it changes nothing. */
  async assertNamed(): Promise<void> {
    await this.file.assertNamed?.();
  }

  async close(): Promise<void> {
    return this.#pass({ kind: 'close' }, () => this.file.close());
  }

  async #pass<T>(call: BlockFileCall, pass: () => Promise<T>): Promise<T> {
    const failure = this.#failureOf(call);
    if (failure) throw this.#error(call, failure);
    return pass();
  }

  #failureOf(call: BlockFileCall): Failure | undefined {
    this.#counts.set(call.kind, this.count(call.kind) + 1);
    let failure = this.onCall?.(call);
    for (const active of this.#faults) {
      const { on = CHANGES, when, lasts = false, nth: _, ...how } = active.fault;
      const isCounted = typeof on === 'string' ? on === call.kind : on.includes(call.kind);
      if (!isCounted || when?.(call) === false) continue;
      active.left--;
      if (active.left === 0 || (active.left < 0 && lasts)) failure ??= { errno: 'EIO', ...how };
    }
    return failure;
  }

  #error({ kind }: BlockFileCall, { errno }: Failure): PageStoreError {
    return new PageStoreError('IO', `${kind}: injected fault (${errno})`, { file: this.name, errno });
  }

  static {
    showAs(this, (file) => {
      const counts = [...file.#counts].map(([kind, count]) => `, ${count} x ${kind}`).join('');
      return `FaultyBlockFile { '${file.name}'${counts} }`;
    });
  }
}
