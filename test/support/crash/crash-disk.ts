import type { BlockFile, Journal } from '../../../src/disk/block-file.ts';
import { PageStoreError } from '../../../src/errors.ts';
import { Image } from './image.ts';

const SECTOR_BYTES = 512;

/** A part of a write that lies in one sector: done or not done, as a whole. */
interface Piece {
  readonly id: number;
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** What was done since the last sync. */
export type Pending =
  { readonly kind: 'write'; readonly pieces: readonly Piece[] } | { readonly kind: 'truncate'; readonly bytes: number };

/** What the disk may hold after a power cut. */
export interface DiskState {
  readonly image: Image;
  readonly journal: Uint8Array | undefined;
}

/**
 * A disk that can lose its power: it knows what is durable, and in which pieces the rest may or may not have reached it.
 * `afterOperation` is called after each operation, and within those of the journal.
 */
export class CrashDisk implements BlockFile {
  readonly name = 'crash disk';
  readonly journal: CrashJournal = new CrashJournal(this);
  afterOperation: () => Promise<void> = async () => {};
  /** Makes a sync fail, after this choice of pieces has reached the disk; the others never do, though reads show them. */
  failSync: ((id: number) => boolean) | undefined;
  /** Syncs that go well before that one. */
  syncsBeforeFailure = 0;
  /** Whether syncs do anything: a disk that lies. */
  ignoresSync = false;
  syncs = 0;
  /** Changes with everything that makes other states possible, but for pending pieces. */
  version = 0;
  #now: Image;
  #durable: Image;
  #pending: Pending[] = [];
  #nextPiece = 0;

  constructor(state: DiskState = { image: new Image(), journal: undefined }) {
    this.#now = state.image.copy();
    this.#durable = state.image.copy();
    this.journal.reset(state.journal);
  }

  /** The same disk, of which a new process sees what the old one wrote, synced or not. */
  fork(): CrashDisk {
    const disk = new CrashDisk({ image: this.#durable, journal: this.journal.now });
    disk.#now = this.#now.copy();
    disk.#pending = this.#pending.slice();
    disk.#nextPiece = this.#nextPiece;
    disk.syncs = this.syncs;
    return disk;
  }

  get pending(): readonly Pending[] {
    return this.#pending;
  }

  get sizeIsPending(): boolean {
    return this.#now.size !== this.#durable.size || this.#pending.some(({ kind }) => kind === 'truncate');
  }

  /** The content after a power cut that these pieces survived, with the file's new size or its old one. */
  imageAfter(survives: (id: number) => boolean, keepsSize: boolean): Image {
    const image = this.#durable.copy();
    for (const step of this.#pending) {
      if (step.kind === 'truncate') {
        if (keepsSize) image.truncate(step.bytes);
        continue;
      }
      for (const { id, position, bytes } of step.pieces) {
        if (survives(id) && (keepsSize || position + bytes.length <= this.#durable.size)) image.write(bytes, position);
      }
    }
    if (keepsSize) image.size = this.#now.size;
    return image;
  }

  async size(): Promise<number> {
    return this.#now.size;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    return this.#now.read(target, position);
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    const pieces: Piece[] = [];
    for (let done = 0; done < source.length;) {
      const length = Math.min(source.length - done, SECTOR_BYTES - ((position + done) % SECTOR_BYTES));
      const bytes = source.slice(done, done + length);
      pieces.push({ id: this.#nextPiece++, position: position + done, bytes });
      done += length;
    }
    this.#pending.push({ kind: 'write', pieces });
    this.#now.write(source, position);
    await this.afterOperation();
  }

  async truncate(bytes: number): Promise<void> {
    this.#pending.push({ kind: 'truncate', bytes });
    this.#now.truncate(bytes);
    this.version++;
    await this.afterOperation();
  }

  async sync(): Promise<void> {
    this.syncs++;
    const survives = this.failSync;
    if (survives && this.syncsBeforeFailure-- <= 0) {
      this.failSync = undefined;
      this.#durable = this.imageAfter(survives, true);
      this.#pending = [];
      this.version++;
      throw new PageStoreError('IO', 'fdatasync: EIO', { errno: 'EIO' });
    }
    if (!this.ignoresSync) {
      this.#durable = this.imageAfter(() => true, true);
      this.#pending = [];
      this.version++;
    }
    await this.afterOperation();
  }

  async close(): Promise<void> {}
}

/** A journal on the same disk: what it may hold after a power cut is in `candidates`. */
export class CrashJournal implements Journal {
  readonly #disk: CrashDisk;
  now: Uint8Array | undefined;
  candidates: readonly (Uint8Array | undefined)[] = [undefined];

  constructor(disk: CrashDisk) {
    this.#disk = disk;
  }

  reset(bytes: Uint8Array | undefined): void {
    this.now = bytes;
    this.candidates = [bytes];
  }

  async read(): Promise<Uint8Array | undefined> {
    return this.now?.slice();
  }

  async write(bytes: Uint8Array): Promise<void> {
    const before = this.now;
    const lost = bytes.slice();
    lost.fill(0, 1024, 1536);
    const headerLost = bytes.slice();
    headerLost.fill(0, 0, 512);
    const cut = bytes.slice(0, 100_000);
    await this.#pass([before, undefined, new Uint8Array(0), lost, headerLost, cut, bytes], bytes.slice());
  }

  async remove(): Promise<void> {
    await this.#pass([this.now, undefined], undefined);
  }

  async #pass(candidates: readonly (Uint8Array | undefined)[], after: Uint8Array | undefined): Promise<void> {
    this.candidates = candidates;
    this.#disk.version++;
    await this.#disk.afterOperation();
    this.reset(after);
    this.#disk.version++;
    await this.#disk.afterOperation();
  }
}

/** A file as it is after a power cut, for one reader and one writer after the other. */
export class StateFile implements BlockFile {
  readonly name = 'state';
  readonly journal: Journal;
  readonly image: Image;
  writes = 0;
  #journal: Uint8Array | undefined;

  constructor({ image, journal }: DiskState) {
    this.image = image;
    this.#journal = journal;
    this.journal = {
      read: async () => this.#journal,
      write: async (bytes) => {
        this.writes++;
        this.#journal = bytes.slice();
      },
      remove: async () => {
        this.writes++;
        this.#journal = undefined;
      },
    };
  }

  async size(): Promise<number> {
    return this.image.size;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    return this.image.read(target, position);
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    this.writes++;
    this.image.write(source, position);
  }

  async truncate(bytes: number): Promise<void> {
    this.writes++;
    this.image.truncate(bytes);
  }

  async sync(): Promise<void> {}

  async close(): Promise<void> {}
}
