import { constants } from 'node:fs';
import { type FileHandle, open, realpath, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { BlockFile } from './block-file.ts';
import { errnoOf, ioError } from './node-fs.ts';
import { NodeBlockFile } from './node-block-file.ts';
import { asHandle } from './node-fs.ts';
import { openNew } from './node-create.ts';
import { syncDirectory } from './node-fs.ts';
import { NodeJournal } from './node-journal.ts';
import { modeLike } from './node-fs.ts';
import { assertOwnPlace } from './node-fs.ts';

/** Most undo files that are kept beside a page file under names of our own. */
const MAX_UNDO_FILES = 1000;

/** A file beside a page file for what a repair overwrites. It is made when it is needed, and never in the place of another one. */
export class NodeUndoPlace {
  readonly #pageFile: string;
  readonly #wanted: string | undefined;
  #path: string | undefined;

  /** @param path - its path; without it that of the page file and `.undo`, or `.undo.1` and so on where there is one */
  constructor(pageFile: string, path?: string) {
    this.#pageFile = pageFile;
    this.#wanted = path;
  }

  /** The path of the file that was made. */
  get path(): string | undefined {
    return this.#path;
  }

  /** Makes the file. @returns it, empty; its name is on the device @throws {@link PageStoreError} `FILE_EXISTS`, `IO` */
  async create(): Promise<BlockFile> {
    if (this.#wanted !== undefined) await assertOwnPlace('the undo file', this.#wanted, [this.#pageFile]);
    // Nobody may read what was overwritten who may not read the page file.
    const mode = await modeLike(this.#pageFile);
    for (let count = 0; ; count++) {
      const path = this.#wanted ?? `${this.#pageFile}.undo${count === 0 ? '' : `.${count}`}`;
      try {
        const handle = await openNew(path, mode);
        this.#path = path;
        return await this.#prepare(path, handle);
      } catch (error) {
        const isTaken = errnoOf(error) === 'EEXIST' && this.#wanted === undefined && count < MAX_UNDO_FILES;
        if (!isTaken) throw ioError(path, 'create the undo file', error);
      }
    }
  }

  async #prepare(path: string, handle: FileHandle): Promise<BlockFile> {
    try {
      await syncDirectory(dirname(await realpath(path)));
      return new NodeBlockFile(path, asHandle(handle), new NodeJournal(resolve(path)));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Removes the file again, where it was made and nothing was repaired. */
  async remove(): Promise<void> {
    const path = this.#path;
    if (path === undefined) return;
    this.#path = undefined;
    try {
      await unlink(path);
    } catch (error) {
      throw ioError(path, 'remove', error);
    }
  }
}

/** Opens an undo file for reading. @throws {@link PageStoreError} `IO` */
export async function openUndoPath(path: string): Promise<BlockFile> {
  try {
    const handle = await open(path, constants.O_RDONLY | ((constants.O_NONBLOCK as number | undefined) ?? 0));
    return new NodeBlockFile(path, asHandle(handle), new NodeJournal(resolve(path)));
  } catch (error) {
    throw ioError(path, 'open', error);
  }
}
