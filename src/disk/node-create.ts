import { constants } from 'node:fs';
import { lstat, open, realpath, stat, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { assertPath } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import type { BlockFile } from './block-file.ts';
import { assertKnownJournal, decodeJournalContent } from './journal.ts';
import { NodeBlockFile, NodeJournal } from './node-block-file.ts';
import {
  assertNoPathConflict,
  errnoOf,
  ioError,
  NewFile,
  O_NONBLOCK,
  openNew,
  permissionsOf,
  syncDirectory,
  unlessMissing,
  withIoError,
} from './node-fs.ts';
import { type LockOptions, takeWriterLock } from './node-lock.ts';
import { assertEmpty } from './page-file.ts';

export interface CreateFileOptions extends LockOptions {
  /** Permissions regardless of the umask: for a file with data from another one. */
  readonly mode?: number | undefined;
}

/**
 * Creates a file that gets its name only when complete: `fill` writes and syncs it. On failure only the lock file is left.
 * The lock is held from before `fill` until the file is closed, and also covers a file that is replaced.
 * @param replace - whether to replace an existing file, which stays until the new one is complete
 * @throws {@link PageStoreError} `FILE_EXISTS`, `IO`, `FILE_LOCKED`; the reason of `lockSignal`; what `fill` throws
 */
export async function createBlockFile(
  path: string,
  replace: boolean,
  fill: (file: BlockFile) => Promise<void>,
  options: CreateFileOptions = {},
): Promise<BlockFile> {
  assertPath('createBlockFile', 'path', path);
  if (typeof fill !== 'function') throw new TypeError('createBlockFile: fill must be a function');
  await assertNoPathConflict('the new file', path, []);
  const target = replace ? await replacedPath(path) : resolve(path);
  const journal = new NodeJournal(target);
  const newFile = await withIoError(path, 'create', async () => {
    if (!replace && (await unlessMissing(lstat(target))) !== undefined)
      throw Object.assign(new Error('file already exists'), { code: 'EEXIST' });
    await assertNoOldJournal(journal, path, replace);
    return NewFile.open(target, options.mode);
  });
  const { handle } = newFile;
  let file = new NodeBlockFile(path, handle, journal);
  try {
    // The lock file stays, so create it only once the directory is known to accept files.
    file = new NodeBlockFile(path, handle, journal, await takeWriterLock(path, options));
    await fill(file);
    await withIoError(path, 'create', async () => {
      await newFile.publish(replace);
      await syncDirectory(dirname(target));
    });
    file.hasCommits = true;
    // An existing journal belongs to the file that was replaced.
    await journal.remove();
    return file;
  } catch (error) {
    await file.close();
    await newFile.discard();
    throw error;
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
    await assertEmpty(target, replace);
    return fill(target);
  }
  const results: T[] = [];
  const filled = async (file: BlockFile): Promise<void> => void results.push(await fill(file));
  await (await createBlockFile(target, replace, filled, options)).close();
  return results[0] as T; // createBlockFile has awaited fill
}

/** Refuses if the journal of an earlier file with the same name may still be needed. */
async function assertNoOldJournal(journal: NodeJournal, path: string, replace: boolean): Promise<void> {
  const bytes = await journal.read();
  if (bytes === undefined) return;
  assertKnownJournal({ name: path }, bytes);
  const { beforeImage, patches } = decodeJournalContent(bytes);
  if (replace || (beforeImage === undefined && patches === undefined)) return;
  const message = `the journal of an earlier file with this name exists: move ${journal.path} to where that file is now, or delete it`;
  throw new PageStoreError('FILE_EXISTS', message, { file: path });
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
    const mode = await permissionsOf(this.#pageFile);
    for (let count = 0; ; count++) {
      const path = this.#wantedPath ?? `${this.#pageFile}.undo${count === 0 ? '' : `.${count}`}`;
      try {
        const handle = await openNew(path, mode);
        this.#path = path;
        try {
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
