import { constants } from 'node:fs';
import { type FileHandle, lstat, open, realpath, stat, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { assertPath, wrongType } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import type { BlockFile } from './block-file.ts';
import { assertKnownJournal, assertOwnJournal, isCompleteJournal, moveAdvice, recoverJournal } from './journal.ts';
import { NodeBlockFile, NodeJournal } from './node-block-file.ts';
import {
  assertNoPathConflict,
  errnoOf,
  ioError,
  isOpenFile,
  O_NONBLOCK,
  syncDirectory,
  unlessMissing,
  withIoError,
} from './node-fs.ts';
import { pathBeside } from './node-names.ts';
import { NewFile, openNew } from './node-new-file.ts';
import { ownershipOfCopy, shareAs } from './node-owner.ts';
import { loadNativeLocking, type LockOptions, takeWriterLock, type WriterLock } from './node-lock.ts';
import { fillEmptied } from './page-file.ts';

export interface CreateFileOptions extends LockOptions {
  /** Permissions regardless of the umask: for a file with data from another one. */
  readonly mode?: number | undefined;
  /** User and group id. Default: those of any new file. Only root can give a file to another user. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** The path of a file with the same data, instead of `mode` and `owner`: its mode, and its owner where that can be set. */
  readonly copyOf?: string | undefined;
  /** Called when the file has its name. An error that it throws undoes that, and the old file is back. */
  readonly onPublished?: (file: BlockFile) => void | Promise<void>;
}

/**
 * Creates a file that gets its name only when complete: `fill` writes and syncs it. On failure all is as it was before.
 * The locks are held from before `fill` until the file is closed, and also cover a file that is replaced.
 * @param replace - whether to replace an existing file, which stays until the new one is complete
 * @throws {@link PageStoreError} `FILE_EXISTS`, `IO`, `FILE_LOCKED`, `JOURNAL_MISMATCH`; the reason of `lockSignal`; what
 * `fill` and `onPublished` throw
 */
export async function createBlockFile(
  path: string,
  replace: boolean,
  fill: (file: BlockFile) => Promise<void>,
  options: CreateFileOptions = {},
): Promise<BlockFile> {
  assertPath('createBlockFile', 'path', path);
  if (typeof replace !== 'boolean') throw wrongType('createBlockFile: replace', 'true or false', replace);
  if (typeof fill !== 'function') throw new TypeError('createBlockFile: fill must be a function');
  if (Object.prototype.toString.call(options) !== '[object Object]')
    throw wrongType('createBlockFile: options', 'an object', options);
  await assertNoPathConflict('the new file', path, []);
  const target = replace ? await replacedPath(path) : resolve(path);
  const newFile = await withIoError(path, 'create', async () => {
    if (!replace && (await unlessMissing(lstat(target))) !== undefined)
      throw Object.assign(new Error('file already exists'), { code: 'EEXIST' });
    await new NameBefore(path, target).assertJournalFits();
    const { mode, owner } = options.copyOf === undefined ? options : await ownershipOfCopy(options.copyOf);
    return NewFile.open(target, mode, owner, options.copyOf === undefined);
  });
  const { handle } = newFile;
  let [before, file]: [NameBefore | undefined, NodeBlockFile | undefined] = [undefined, undefined];
  let isCreated = false;
  try {
    // The lock file stays, so create it only once the directory is known to accept files.
    before = await NameBefore.lock(path, target, replace, handle, options);
    const { lock } = before;
    const release = async (): Promise<void> => lock?.release(!isCreated);
    file = new NodeBlockFile(path, handle, new NodeJournal(target, handle), { release });
    await fill(file);
    await withIoError(path, 'create', async () => {
      await before?.settleJournal();
      await newFile.publish(replace);
    });
    await options.onPublished?.(file);
    await withIoError(path, 'create', () => syncDirectory(dirname(target)));
    await newFile.confirm();
    isCreated = true;
    file.hasCommits = true;
    return file;
  } catch (error) {
    // Still under the lock: nobody else can have used the name.
    await newFile.discard().catch(() => undefined); // report the first error
    await (file ?? handle).close();
    throw error;
  } finally {
    await before?.close();
  }
}

/** As {@link createBlockFile}, then closes it; a BlockFile, which must be empty unless `replace`, stays open. */
export async function fillNewFile<T>(
  target: string | BlockFile,
  replace: boolean,
  fill: (file: BlockFile) => Promise<T>,
  options: CreateFileOptions = {},
): Promise<T> {
  if (typeof target !== 'string') {
    return fillEmptied(target, replace, async () => {
      const result = await fill(target);
      await options.onPublished?.(target);
      return result;
    });
  }
  const results: T[] = [];
  const filled = async (file: BlockFile): Promise<void> => void results.push(await fill(file));
  await (await createBlockFile(target, replace, filled, options)).close();
  return results[0] as T; // createBlockFile has awaited fill
}

/** What has the name of a new file before. */
class NameBefore {
  readonly #path: string;
  readonly #target: string;
  readonly #journal: NodeJournal;
  /** The file that is replaced; undefined if there is none, or it may not be written to. */
  #handle: FileHandle | undefined;
  #isMissing = false;
  lock: WriterLock | undefined;

  constructor(path: string, target: string) {
    this.#path = path;
    this.#target = target;
    this.#journal = new NodeJournal(target);
  }

  /** Locks the name, the new file, and the one that is replaced: a writer may have it open under another name. */
  static async lock(
    path: string,
    target: string,
    replace: boolean,
    newFile: FileHandle,
    options: LockOptions,
  ): Promise<NameBefore> {
    for (;;) {
      const before = new NameBefore(path, target);
      try {
        const handle = replace ? await before.#open() : undefined;
        const handles = handle ? [newFile, handle] : [newFile];
        const lock = await takeWriterLock(path, options, loadNativeLocking, { target, handles });
        before.lock = lock;
        if (!replace || (await before.#isUnchanged())) return before;
        // The file was replaced while it waited for the lock.
        await lock.release(true);
      } catch (error) {
        await before.close();
        await before.lock?.release(true);
        throw error;
      }
      await before.close();
    }
  }

  async #open(): Promise<FileHandle | undefined> {
    try {
      return (this.#handle = await open(this.#target, constants.O_RDWR | O_NONBLOCK));
    } catch (error) {
      this.#isMissing = errnoOf(error) === 'ENOENT';
      // A file that may not be written to has no writers.
      if (this.#isMissing || ['EACCES', 'EPERM', 'EROFS', 'ETXTBSY'].includes(errnoOf(error))) return undefined;
      throw ioError(this.#path, 'open', error);
    }
  }

  async #isUnchanged(): Promise<boolean> {
    if (this.#handle) return isOpenFile(this.#target, this.#handle);
    return !this.#isMissing || (await unlessMissing(lstat(this.#target))) === undefined;
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }

  /**
   * Refuses if there is a journal that may still be needed, by a file that does not have this name now.
   * @throws {@link PageStoreError} `FILE_EXISTS`, `JOURNAL_MISMATCH`, `IO`
   */
  async assertJournalFits(): Promise<void> {
    const bytes = await this.#journal.read();
    if (bytes === undefined) return;
    assertKnownJournal({ name: this.#path }, bytes);
    if (!isCompleteJournal(bytes)) return;
    const handle = await unlessMissing(open(this.#target, constants.O_RDONLY | O_NONBLOCK));
    if (handle === undefined) {
      const message = `the journal of an earlier file with this name exists: ${moveAdvice(this.#journal.path)}`;
      throw new PageStoreError('FILE_EXISTS', message, { file: this.#path });
    }
    try {
      await assertOwnJournal(new NodeBlockFile(this.#path, handle, this.#journal));
    } finally {
      await handle.close();
    }
  }

  /** Completes the journal of the file that is replaced, and removes it, so that the new file does not meet it. */
  async settleJournal(): Promise<void> {
    await this.assertJournalFits();
    const bytes = await this.#journal.read();
    if (bytes === undefined) return;
    if (!isCompleteJournal(bytes)) return this.#journal.remove();
    const handle = this.#handle ?? (await open(this.#target, constants.O_RDWR));
    this.#handle = handle;
    try {
      // Until the new file has the name, the old one may be needed, so it must not be without its journal.
      await recoverJournal(new NodeBlockFile(this.#path, handle, this.#journal));
    } catch (error) {
      if (!(error instanceof PageStoreError) || error.code !== 'JOURNAL_MISMATCH') throw error;
      // It does not fit the file any more, so no writer could use it.
      await this.#journal.remove();
    }
  }
}

async function replacedPath(path: string): Promise<string> {
  return withIoError(path, 'create', async () => {
    const stats = await unlessMissing(stat(path));
    if (stats === undefined) return path;
    if (stats.isFile()) return realpath(path);
    throw new PageStoreError('NOT_A_PAGE_FILE', 'only a regular file can be replaced', { file: path });
  });
}

const MAX_UNDO_FILES = 1000;

/** A file beside a page file for the bytes that a repair overwrites. Created when needed, never replaces another file. */
export class NodeUndoFile {
  readonly #pageFile: string;
  readonly #wantedPath: string | undefined;
  #path: string | undefined;

  /** @param path - default: the page file's path with `.undo`, or `.undo.1` and so on if that exists */
  constructor(pageFile: string, path?: string) {
    this.#pageFile = pageFile;
    this.#wantedPath = path;
  }

  get path(): string | undefined {
    return this.#path;
  }

  /** Creates the file, durably. @throws {@link PageStoreError} `FILE_EXISTS`, `IO` */
  async create(): Promise<BlockFile> {
    if (this.#wantedPath !== undefined) {
      await assertNoPathConflict('the undo file', this.#wantedPath, [this.#pageFile]);
    }
    const ownership = await ownershipOfCopy(this.#pageFile);
    for (let count = 0; ; count++) {
      const path = this.#wantedPath ?? pathBeside(this.#pageFile, `.undo${count === 0 ? '' : `.${count}`}`);
      try {
        const handle = await openNew(path, ownership.mode);
        this.#path = path;
        try {
          await shareAs(handle, ownership, 'data');
          await syncDirectory(dirname(await realpath(path)));
        } catch (error) {
          await handle.close();
          throw error;
        }
        return new NodeBlockFile(path, handle, new NodeJournal(resolve(path)));
      } catch (error) {
        const isTaken = errnoOf(error) === 'EEXIST' && this.#wantedPath === undefined && count < MAX_UNDO_FILES;
        if (!isTaken) throw ioError(path, 'create the undo file', error);
      }
    }
  }

  /** For a repair that changed nothing. */
  async remove(): Promise<void> {
    const path = this.#path;
    if (path === undefined) return;
    this.#path = undefined;
    await withIoError(path, 'remove', () => unlink(path));
  }
}

export async function openNodeUndoFile(path: string): Promise<BlockFile> {
  const handle = await withIoError(path, 'open', () => open(path, constants.O_RDONLY | O_NONBLOCK));
  return new NodeBlockFile(path, handle, new NodeJournal(resolve(path)));
}
