import { randomUUID } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { ioError } from '../disk/node-fs.ts';
import { openNew, publish } from '../disk/node-create.ts';
import { modeLike } from '../disk/node-fs.ts';
import { PageStoreError } from '../errors.ts';
import type { MovedRun } from '../recover/recovery-report.ts';
import type { RefMapSink } from '../transfer/compact.ts';
import type { MovedPage } from '../transfer/node-packer.ts';

const BUFFER_BYTES = 65_536;
/** Two refs of at most 8 digits, a colon and at most 7 digits each, a space and a line feed. */
const MOST_LINE_BYTES = 40;
const [SPACE, LINE_FEED, COLON, ZERO] = [0x20, 0x0a, 0x3a, 0x30];

/**
 * A file with a line for each node that is told of: its old ref, a space, its new ref. It gets its name when it is whole. What is there and
 * no regular file, such as a pipe, is written to as it is.
 */
export class RefMapFile implements RefMapSink {
  readonly #path: string;
  readonly #target: string;
  readonly #temporary: string | undefined;
  readonly #replace: boolean;
  #handle: FileHandle | undefined;
  readonly #buffer: Buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  #hasName = false;

  private constructor(
    path: string,
    target: string,
    temporary: string | undefined,
    replace: boolean,
    handle: FileHandle,
  ) {
    this.#path = path;
    this.#target = target;
    this.#temporary = temporary;
    this.#replace = replace;
    this.#handle = handle;
  }

  /**
   * @param source - the page file whose refs it tells; it gets the permissions of that
   * @param replace - whether a file of that name may be replaced
   * @throws {@link PageStoreError} `FILE_EXISTS`, `IO`
   */
  static async create(path: string, source: string, replace: boolean): Promise<RefMapFile> {
    try {
      const existing = await stat(path).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      if (existing && !existing.isFile()) return new RefMapFile(path, path, undefined, replace, await open(path, 'w'));
      if (existing && !replace) {
        const message = 'the map exists already: name another file, or replace it with --force';
        throw new PageStoreError('FILE_EXISTS', message, { file: path });
      }
      const target = existing ? await realpath(path) : path;
      const temporary = `${target}.${randomUUID()}.new`;
      return new RefMapFile(path, target, temporary, replace, await openNew(temporary, await modeLike(source)));
    } catch (error) {
      throw error instanceof PageStoreError ? error : ioError(path, 'create', error);
    }
  }

  async page({ block, count, newBlocks, newSlots }: MovedPage): Promise<void> {
    for (let slot = 0; slot < count; slot++) {
      if (this.#used > BUFFER_BYTES - MOST_LINE_BYTES) await this.#flush();
      this.#ref(block, slot, SPACE);
      this.#ref(newBlocks[slot] as number, newSlots[slot] as number, LINE_FEED); // slot < count
    }
  }

  async run({ block, slot, newBlock, newSlot, count }: MovedRun): Promise<void> {
    for (let index = 0; index < count; index++) {
      if (this.#used > BUFFER_BYTES - MOST_LINE_BYTES) await this.#flush();
      this.#ref(block, slot + index, SPACE);
      this.#ref(newBlock, newSlot + index, LINE_FEED);
    }
  }

  #ref(block: number, slot: number, end: number): void {
    this.#number(block);
    this.#buffer[this.#used++] = COLON;
    this.#number(slot);
    this.#buffer[this.#used++] = end;
  }

  /** Digit by digit: a string for each number takes twice as long as all the rest. */
  #number(value: number): void {
    let power = 1;
    while (power * 10 <= value) power *= 10;
    for (let rest = value; power >= 1; power = (power / 10) | 0) {
      const digit = (rest / power) | 0;
      this.#buffer[this.#used++] = ZERO + digit;
      rest -= digit * power;
    }
  }

  async end(): Promise<void> {
    await this.#flush();
    try {
      if (this.#temporary !== undefined) await this.#handle?.datasync();
      await this.#close();
      if (this.#temporary === undefined) return;
      if (this.#replace) await rename(this.#temporary, this.#target);
      else await publish(this.#temporary, this.#target);
      this.#hasName = true;
    } catch (error) {
      throw ioError(this.#path, 'write', error);
    }
  }

  /** Leaves nothing behind: what the map is of has not come to be. */
  async discard(): Promise<void> {
    await this.#close();
    if (this.#temporary === undefined) return;
    await rm(this.#temporary, { force: true });
    if (this.#hasName) await rm(this.#target, { force: true });
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async #flush(): Promise<void> {
    let done = 0;
    try {
      while (done < this.#used) {
        const written = await this.#handle?.write(this.#buffer, done, this.#used - done);
        done += written?.bytesWritten ?? 0;
      }
    } catch (error) {
      throw ioError(this.#path, 'write', error);
    }
    this.#used = 0;
  }
}
