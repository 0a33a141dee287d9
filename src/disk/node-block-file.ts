import { constants, fdatasyncSync, fstatSync, readSync, statSync, writeSync } from 'node:fs';
import { type FileHandle, open, realpath, stat, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { assertOneOf, assertPath, checkOptions, showAs } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import { JOURNAL_BYTES } from '../format/journal.ts';
import type { Access, BlockFile, Journal } from './block-file.ts';
import {
  identityOfStats,
  ioError,
  isOpenFile,
  O_NOFOLLOW,
  O_NONBLOCK,
  syncDirectory,
  unlessMissing,
  withIoError,
} from './node-fs.ts';
import {
  loadNativeLocking,
  LOCK_OPTION_KINDS,
  type LockOptions,
  takeWriterLock,
  type WriterLock,
} from './node-lock.ts';
import { pathBeside } from './node-names.ts';
import { type Ownership, ownershipOfStats, shareAs } from './node-owner.ts';
import { readFileHead } from './page-file.ts';

/** The part of node:fs' `FileHandle` that a block file needs; declared here so that the public types need no others. */
export interface Handle {
  /** If absent, all calls are asynchronous. */
  readonly fd?: number;
  stat(): Promise<{ readonly size: number }>;
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  write(
    source: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>;
  truncate(bytes: number): Promise<void>;
  datasync(): Promise<void>;
  close(): Promise<void>;
}

/** After a slower system call, the next one of its kind is asynchronous. */
const MAX_SYNC_MS = 1;

/** After this time without a pause, timers and other I/O get a turn. */
const MAX_TURN_MS = 4;

export interface CallHistory {
  isSlow: boolean;
}

/**
 * Makes system calls synchronously while they are fast: another thread costs about 0.1 ms, several times a cached call.
 * A slow device must not block the process.
 */
export class CallScheduler {
  readonly #clock: () => number;
  #turnStart: number;

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#turnStart = clock();
  }

  async run<T>(history: CallHistory, callSync: () => T, callAsync: () => Promise<T>): Promise<T> {
    const start = this.#clock();
    const isSync = !history.isSlow;
    const result = isSync ? callSync() : await callAsync();
    const end = this.#clock();
    history.isSlow = end - start > MAX_SYNC_MS;
    if (!isSync) {
      this.#turnStart = end;
    } else if (end - this.#turnStart > MAX_TURN_MS) {
      // Promises alone give timers, signals and other input no turn.
      await setImmediate();
      this.#turnStart = this.#clock();
    }
    return result;
  }
}

/** Shorter writes are a kind of their own: they are much faster than those of pages. */
const SHORT_WRITE_BYTES = 16_384;

/** A {@link BlockFile} over an operating system file. It owns the handle, and the lock if it has one. */
export class NodeBlockFile implements BlockFile {
  readonly name: string;
  readonly journal: Journal;
  readonly #handle: Handle;
  readonly #calls = new CallScheduler();
  readonly #reads: CallHistory = { isSlow: false };
  readonly #shortWrites: CallHistory = { isSlow: false };
  readonly #writes: CallHistory = { isSlow: false };
  readonly #syncs: CallHistory = { isSlow: false };
  readonly #stats: CallHistory = { isSlow: false };
  readonly #path: string;
  #identity: string | undefined;
  #lock: WriterLock | undefined;
  /** Whether the file may contain acknowledged nodes. */
  hasCommits: boolean;

  constructor(name: string, handle: Handle, journal: Journal, lock?: WriterLock, hasCommits: boolean = false) {
    this.name = name;
    this.journal = journal;
    this.#path = resolve(name);
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
      const bytesRead = await this.#transfer('read', this.#reads, target, done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < source.length) {
      const history = source.length - done <= SHORT_WRITE_BYTES ? this.#shortWrites : this.#writes;
      const bytesWritten = await this.#transfer('write', history, source, done, position + done);
      // Without this, a device that accepts no byte and reports no error would loop forever.
      if (bytesWritten === 0) throw ioError(this.name, 'write', undefined, position + done);
      done += bytesWritten;
    }
  }

  async #transfer(
    call: 'read' | 'write',
    history: CallHistory,
    bytes: Uint8Array,
    done: number,
    position: number,
  ): Promise<number> {
    const handle = this.#handle;
    const length = bytes.length - done;
    const transferSync = (fd: number): number =>
      call === 'read' ? readSync(fd, bytes, done, length, position) : writeSync(fd, bytes, done, length, position);
    const transferAsync = async (): Promise<number> =>
      call === 'read'
        ? (await handle.read(bytes, done, length, position)).bytesRead
        : (await handle.write(bytes, done, length, position)).bytesWritten;
    return this.#io(call, this.#run(history, transferSync, transferAsync), position);
  }

  async truncate(bytes: number): Promise<void> {
    await this.#io('truncate', this.#handle.truncate(bytes));
  }

  async sync(): Promise<void> {
    const handle = this.#handle;
    await this.#io(
      'fdatasync',
      this.#run(this.#syncs, fdatasyncSync, () => handle.datasync()),
    );
  }

  async assertNamed(): Promise<void> {
    const handle = this.#handle;
    if (handle.fd === undefined) return;
    this.#identity ??= await this.#io('fstat', this.#ownIdentity(handle));
    // The second name is of use if the working directory of the process has changed.
    for (const path of new Set([this.name, this.#path]))
      if ((await this.#io('stat', this.#identityAt(path))) === this.#identity) return;
    const message =
      'the file was replaced, renamed or deleted while it was written to: what was written since the last commit may be in the old file only; do it again';
    throw new PageStoreError('FILE_REPLACED', message, { file: this.name });
  }

  async #ownIdentity(handle: Handle): Promise<string> {
    return identityOfStats(fstatSync(openFd(handle), { bigint: true }));
  }

  /** Undefined if there is no such file. */
  async #identityAt(path: string): Promise<string | undefined> {
    const found = await this.#run(
      this.#stats,
      () => statSync(path, { bigint: true, throwIfNoEntry: false }),
      () => unlessMissing(stat(path, { bigint: true })),
    );
    return found && identityOfStats(found);
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

  async #run<T>(history: CallHistory, callSync: (fd: number) => T, callAsync: () => Promise<T>): Promise<T> {
    const handle = this.#handle;
    if (handle.fd === undefined) return callAsync();
    return this.#calls.run(history, () => callSync(openFd(handle)), callAsync);
  }

  async #io<T>(call: string, result: Promise<T>, offset?: number): Promise<T> {
    try {
      return await result;
    } catch (error) {
      throw ioError(this.name, call, error, offset, this.hasCommits);
    }
  }

  static {
    showAs(this, (file) => `NodeBlockFile { '${file.name}'${file.#lock ? ', locked' : ''} }`);
  }
}

/** @throws an error with code EBADF for a closed file, as asynchronous calls do; node:fs throws a RangeError for -1 */
function openFd({ fd = -1 }: Handle): number {
  if (fd >= 0) return fd;
  throw Object.assign(new Error('file closed'), { code: 'EBADF' });
}

const NOT_A_JOURNAL =
  'this is not a regular file, but the page file beside it needs the name for its journal; move it away';

const MOVED_AWAY =
  'the file was renamed or replaced since it was opened, so its journal would be beside another file; open it again';

/** A {@link Journal} in a file beside the page file. @internal */
export class NodeJournal implements Journal {
  readonly path: string;
  readonly #pageFile: string;
  readonly #handle: FileHandle | undefined;

  /**
   * @param pageFile - absolute path, with symbolic links followed
   * @param handle - the open page file, for a journal that is written to
   */
  constructor(pageFile: string, handle?: FileHandle) {
    this.#pageFile = pageFile;
    this.#handle = handle;
    this.path = pathBeside(pageFile, '.journal');
  }

  async read(): Promise<Uint8Array | undefined> {
    return this.#io('read', async () => {
      const handle = await unlessMissing(open(this.path, constants.O_RDONLY | O_NONBLOCK));
      if (handle === undefined) return undefined;
      try {
        if (!(await handle.stat()).isFile()) throw new PageStoreError('IO', NOT_A_JOURNAL, { file: this.path });
        // One byte more than any journal has, so that a longer file is not taken for one.
        const bytes = new Uint8Array(JOURNAL_BYTES + 1);
        let done = 0;
        while (done < bytes.length) {
          const { bytesRead } = await handle.read(bytes, done, bytes.length - done, done);
          if (bytesRead === 0) break;
          done += bytesRead;
        }
        return bytes.subarray(0, done);
      } finally {
        await handle.close();
      }
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#io('write', async () => {
      // Beside another file it would restore nothing, and stop the writers of that file.
      if (this.#handle && !(await isOpenFile(this.#pageFile, this.#handle)))
        throw new PageStoreError('FILE_REPLACED', MOVED_AWAY, { file: this.#pageFile });
      const ownership = ownershipOfStats(await stat(this.#pageFile));
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | O_NOFOLLOW;
      const handle = await open(this.path, flags, ownership.mode & 0o666);
      try {
        try {
          // All who use the page file need its journal. A hard link could be another user's file.
          if ((await handle.stat()).nlink === 1) await shareAs(handle, ownership, 'data');
          await handle.writeFile(bytes);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await syncDirectory(dirname(this.path));
      } catch (error) {
        // As on a full disk. The page file has not changed, so it needs no journal; report the first error.
        await unlink(this.path).catch(() => undefined);
        throw error;
      }
    });
  }

  async remove(): Promise<void> {
    await this.#io('remove', async () => {
      const isRemoved = await unlessMissing(unlink(this.path).then(() => true));
      if (isRemoved) await syncDirectory(dirname(this.path));
    });
  }

  async #io<T>(call: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // Reports show this error under the name of the page file, so the message names the journal.
      throw ioError(this.path, `${call} the journal ${this.path}`, error, undefined, true);
    }
  }
}

/**
 * Opens an existing regular file. A writer takes the file's lock, released by closing the file; readers take none.
 * @throws {@link PageStoreError} `IO`; `NOT_A_PAGE_FILE` for a directory, device or pipe; `FILE_LOCKED`; the reason of
 * `lockSignal`
 */
export async function openBlockFile(path: string, access: Access, options: LockOptions = {}): Promise<BlockFile> {
  assertPath('openBlockFile', 'path', path);
  assertOneOf('openBlockFile', 'access', access ?? 'undefined', ['read', 'write']);
  checkOptions('openBlockFile', options, LOCK_OPTION_KINDS);
  return openFile(path, access, options, async () => undefined);
}

/** As {@link openBlockFile}, but rejects a file that is no page file before a lock file is created beside it. */
export async function openPageFile(path: string, access: Access, lock: LockOptions = {}): Promise<BlockFile> {
  return openFile(path, access, lock, readFileHead);
}

/** Runs `work` on a page file. A path is opened as by {@link openPageFile} and closed; a BlockFile stays open. */
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

async function openFile(
  path: string,
  access: Access,
  options: LockOptions,
  check: (file: BlockFile) => Promise<unknown>,
): Promise<BlockFile> {
  const { lockTimeout = 0 } = options;
  const deadline = performance.now() + lockTimeout * 1000;
  for (let remaining = lockTimeout; ; remaining = Math.max(0, (deadline - performance.now()) / 1000)) {
    const { handle, target, ownership } = await openRegular(path, access);
    let lock: WriterLock | undefined;
    try {
      const journal = new NodeJournal(target, handle);
      if (access === 'read') return new NodeBlockFile(path, handle, journal);
      await check(new NodeBlockFile(path, handle, journal));
      const locked = { target, handles: [handle], ownership };
      lock = await takeWriterLock(path, { ...options, lockTimeout: remaining }, loadNativeLocking, locked);
      if (await isOpenFile(path, handle)) return new NodeBlockFile(path, handle, journal, lock, true);
    } catch (error) {
      await handle.close();
      await lock?.release(true);
      throw error;
    }
    // While it waited for the locks, the path got another file: a lock on this one would protect nothing.
    await handle.close();
    await lock.release(true);
    options.lockSignal?.throwIfAborted();
  }
}

interface OpenedFile {
  readonly handle: FileHandle;
  /** The path with symbolic links followed. */
  readonly target: string;
  readonly ownership: Ownership;
}

async function openRegular(path: string, access: Access): Promise<OpenedFile> {
  return withIoError(path, 'open', async () => {
    // Checked first: opening a pipe would wait for its other end.
    const stats = await stat(path);
    if (!stats.isFile()) {
      const kind = stats.isDirectory() ? 'a directory' : 'not a regular file';
      throw new PageStoreError('NOT_A_PAGE_FILE', `this is ${kind}`, { file: path });
    }
    const target = await realpath(path);
    const handle = await open(target, access === 'read' ? constants.O_RDONLY : constants.O_RDWR);
    return { handle, target, ownership: ownershipOfStats(stats) };
  });
}
