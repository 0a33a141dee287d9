import { constants } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { PageStoreError } from '../errors.ts';
import type { BlockFile, Journal } from './block-file.ts';
import { readFileHead } from './file-head.ts';
import { asHandle, type Handle, ioError } from './node-fs.ts';
import { NodeJournal } from './node-journal.ts';
import { type LockOptions, takeWriterLock, type WriterLock } from './node-lock.ts';

/** A call of the system that takes longer than this is left to another thread the next time. */
const LONGEST_HELD_MS = 1;

/** After so long the other work of the process has a turn. */
const TURN_MS = 4;

/** One kind of call: whether the last one of it took long. */
export interface CallKind {
  isLong: boolean;
}

/**
 * Decides whether calls of the system are made by this thread, which they hold up, or by another. To hand a call to a
 * thread and to be told of its end takes about 0.1 ms, several times what the call takes where the system answers from its
 * memory; and a device that takes longer than that is to hold up nobody.
 */
export class CallPace {
  readonly #clock: () => number;
  #turnBegan: number;

  /** @param clock - milliseconds from any moment on */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#turnBegan = clock();
  }

  /** Makes a call one way or the other, by how long the last one of its kind took. */
  async make<T>(kind: CallKind, here: () => T, elsewhere: () => Promise<T>): Promise<T> {
    const began = this.#clock();
    const isHere = !kind.isLong;
    const result = isHere ? here() : await elsewhere();
    const ended = this.#clock();
    kind.isLong = ended - began > LONGEST_HELD_MS;
    if (!isHere) {
      this.#turnBegan = ended;
    } else if (ended - this.#turnBegan > TURN_MS) {
      // Promises alone give no turn to timers, signals and other input.
      await setImmediate();
      this.#turnBegan = this.#clock();
    }
    return result;
  }
}

/** What a file is opened for. A file opened for reading is never written to, not even to recover it. */
export type Access = 'read' | 'write';

/** Writes up to so many bytes are of a kind of their own: they take far less than those of whole pages. */
const FEW_BYTES = 16_384;

/** A {@link BlockFile} over a file of the operating system. It owns the handle, and the lock where it has one. */
export class NodeBlockFile implements BlockFile {
  readonly name: string;
  readonly journal: Journal;
  readonly #handle: Handle;
  readonly #pace = new CallPace();
  readonly #reads: CallKind = { isLong: false };
  readonly #shortWrites: CallKind = { isLong: false };
  readonly #writes: CallKind = { isLong: false };
  readonly #syncs: CallKind = { isLong: false };
  #lock: WriterLock | undefined;
  /** Whether somebody may have been told that something is stored in it. */
  hasCommits: boolean;

  constructor(name: string, handle: Handle, journal: Journal, lock?: WriterLock, hasCommits: boolean = false) {
    this.name = name;
    this.journal = journal;
    this.#handle = handle;
    this.#lock = lock;
    this.hasCommits = hasCommits;
  }

  async size(): Promise<number> {
    return (await this.#io('stat', this.#handle.stat())).size;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < target.length) {
      const bytesRead = await this.#io('read', this.#read(target, done, position + done), position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async #read(target: Uint8Array, done: number, position: number): Promise<number> {
    const handle = this.#handle;
    const { now } = handle;
    const length = target.length - done;
    const elsewhere = async (): Promise<number> => (await handle.read(target, done, length, position)).bytesRead;
    if (now === undefined) return elsewhere();
    return this.#pace.make(this.#reads, () => now.read(target, done, length, position), elsewhere);
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < source.length) {
      const bytesWritten = await this.#io('write', this.#write(source, done, position + done), position + done);
      // A device that takes no byte and gives no error would keep this loop for ever.
      if (bytesWritten === 0) throw ioError(this.name, 'write', undefined, position + done);
      done += bytesWritten;
    }
  }

  async #write(source: Uint8Array, done: number, position: number): Promise<number> {
    const handle = this.#handle;
    const { now } = handle;
    const length = source.length - done;
    const elsewhere = async (): Promise<number> => (await handle.write(source, done, length, position)).bytesWritten;
    if (now === undefined) return elsewhere();
    const kind = length <= FEW_BYTES ? this.#shortWrites : this.#writes;
    return this.#pace.make(kind, () => now.write(source, done, length, position), elsewhere);
  }

  async truncate(bytes: number): Promise<void> {
    await this.#io('truncate', this.#handle.truncate(bytes));
  }

  async sync(): Promise<void> {
    const { now } = this.#handle;
    const elsewhere = async (): Promise<void> => this.#handle.datasync();
    const syncing = now ? this.#pace.make(this.#syncs, () => now.datasync(), elsewhere) : elsewhere();
    await this.#io('fdatasync', syncing);
  }

  async close(): Promise<void> {
    const lock = this.#lock;
    this.#lock = undefined;
    try {
      await this.#io('close', this.#handle.close());
    } finally {
      await lock?.release();
    }
  }

  async #io<T>(call: string, result: Promise<T>, offset?: number): Promise<T> {
    try {
      return await result;
    } catch (error) {
      throw ioError(this.name, call, error, offset, this.hasCommits);
    }
  }
}

/**
 * Opens an existing regular file. To write, it takes the file's lock, and closing the file gives that back.
 * @param lock - how to take the lock; readers take none
 * @throws {@link PageStoreError} `IO`; `NOT_A_PAGE_FILE` for a directory, a device or a pipe; `FILE_LOCKED` where
 * another writer has it; the reason of `lockSignal`
 */
export async function openBlockFile(path: string, access: Access, lock: LockOptions = {}): Promise<BlockFile> {
  const handle = await openRegular(path, access);
  const journal = await journalOf(path);
  if (access === 'read') return new NodeBlockFile(path, handle, journal);
  // Opened to find out whether it can be, before a lock file is made. While we wait for the lock, another file can
  // take its place.
  await handle.close();
  const taken = await takeWriterLock(path, lock);
  try {
    return new NodeBlockFile(path, await openRegular(path, access), journal, taken, true);
  } catch (error) {
    await taken.release();
    throw error;
  }
}

/**
 * Opens a page file, as {@link openBlockFile}. What is no page file gets no lock file beside it.
 * @throws {@link PageStoreError} as {@link openBlockFile}, and `NOT_A_PAGE_FILE` for any other file that is to be written
 */
export async function openPageFile(path: string, access: Access, lock: LockOptions = {}): Promise<BlockFile> {
  if (access === 'write') {
    const file = new NodeBlockFile(path, await openRegular(path, access), await journalOf(path));
    try {
      await readFileHead(file);
    } finally {
      await file.close();
    }
  }
  return openBlockFile(path, access, lock);
}

/**
 * Runs `work` on a page file. One that is given as a path is opened as by {@link openPageFile} and closed afterwards; a
 * BlockFile stays open.
 */
export async function withPageFile<T>(
  file: string | BlockFile,
  access: Access,
  work: (file: BlockFile) => Promise<T>,
  lock: LockOptions = {},
): Promise<T> {
  if (typeof file !== 'string') return work(file);
  const opened = await openPageFile(file, access, lock);
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

async function openRegular(path: string, access: Access): Promise<Handle> {
  try {
    // Before it is opened: opening a pipe would wait for somebody at its other end.
    const stats = await stat(path);
    if (!stats.isFile()) {
      const kind = stats.isDirectory() ? 'a directory' : 'not a regular file';
      throw new PageStoreError('NOT_A_PAGE_FILE', `this is ${kind}`, { file: path });
    }
    return asHandle(await open(path, access === 'read' ? constants.O_RDONLY : constants.O_RDWR));
  } catch (error) {
    throw error instanceof PageStoreError ? error : ioError(path, 'open', error);
  }
}

async function journalOf(path: string): Promise<NodeJournal> {
  try {
    return new NodeJournal(await realpath(path));
  } catch (error) {
    throw ioError(path, 'open', error);
  }
}
