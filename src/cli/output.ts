import { randomUUID } from 'node:crypto';
import { type FileHandle, lstat, open, realpath, rename, rm, stat } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { errnoOf, ioError } from '../disk/node-fs.ts';
import { PageStoreError } from '../errors.ts';
import { FILE_MAGIC } from '../format/file-header.ts';
import { jsonLine, SCHEMA_VERSION } from '../report/reporter.ts';
import type { Context, Output } from './context.ts';
import type { CommonOptions } from './options.ts';

const BUFFER_BYTES = 65_536;

/**
 * An {@link Output} to a file. It is complete once {@link FileOutput.close} has resolved; until then any call may
 * reject, also for bytes that were written before.
 */
export class FileOutput implements Output {
  readonly isTerminal = false;
  readonly closed = false;
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;

  /** Where it is written to until it is complete; undefined for a pipe or a device, which is written as it is. */
  readonly #temporary: Temporary | undefined;

  private constructor(path: string, handle: FileHandle, temporary: Temporary | undefined) {
    this.#path = path;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  /**
   * Opens a file to write to. One that is there stays until the new one is complete, and then the new one has its name.
   * @throws {@link PageStoreError} `IO`; `FILE_EXISTS` for a page file
   */
  static async open(path: string): Promise<FileOutput> {
    try {
      const target = await replacedBy(path);
      if (target === undefined) return new FileOutput(path, await open(path, 'w'), undefined);
      const temporary = { path: `${target}.${randomUUID()}.new`, target };
      return new FileOutput(path, await open(temporary.path, 'wx'), temporary);
    } catch (error) {
      if (error instanceof PageStoreError) throw error;
      throw ioError(path, 'open to write the report', error);
    }
  }

  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (bytes.length > BUFFER_BYTES - this.#used) await this.flush();
    if (bytes.length > BUFFER_BYTES) return this.#send(bytes);
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  async flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#used = 0;
    await this.#send(bytes);
  }

  /** Writes what is left, and closes the file also where that fails. */
  async close(): Promise<void> {
    try {
      await this.flush();
    } catch (error) {
      await this.abandon();
      throw error;
    }
    try {
      await this.#handle.close();
      if (this.#temporary) await rename(this.#temporary.path, this.#temporary.target);
    } catch (error) {
      await this.#remove();
      throw incomplete(this.#path, error);
    }
  }

  /** Closes it; nothing is left of a file that is not complete. */
  async abandon(): Promise<void> {
    // There is another error already, which is the one to tell.
    await this.#handle.close().catch(() => undefined);
    await this.#remove();
  }

  async #remove(): Promise<void> {
    if (this.#temporary) await rm(this.#temporary.path, { force: true }).catch(() => undefined);
  }

  async #send(bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      let written: number;
      try {
        written = (await this.#handle.write(bytes, done, bytes.length - done)).bytesWritten;
      } catch (error) {
        throw incomplete(this.#path, error);
      }
      // A device that takes no byte and gives no error would keep this loop for ever.
      if (written === 0) throw incomplete(this.#path, undefined);
      done += written;
    }
  }
}

interface Temporary {
  readonly path: string;
  /** The file that it becomes, behind links. */
  readonly target: string;
}

/** The file that a new one takes the place of, or would be; undefined for what is no regular file. */
async function replacedBy(path: string): Promise<string | undefined> {
  let target: string;
  try {
    if (!(await stat(path)).isFile()) return undefined;
    target = await realpath(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    // A link to nowhere is written through, as ever.
    const isLink = await lstat(path).then(
      () => true,
      () => false,
    );
    return isLink ? undefined : path;
  }
  const handle = await open(target, 'r+');
  try {
    const { buffer } = await handle.read(Buffer.alloc(8), 0, 8, 0);
    if (buffer.readBigUInt64LE(0) !== FILE_MAGIC) return target;
  } finally {
    await handle.close();
  }
  throw new PageStoreError('FILE_EXISTS', 'the report would overwrite a page file; name another --output', {
    file: path,
  });
}

function incomplete(path: string, cause: unknown): PageStoreError {
  return ioError(path, 'write the report, which is not complete', cause);
}

const BUFFER_BYTES_STREAM_OUTPUT = 65_536;

/** An {@link Output} over a stream of the process. */
export class StreamOutput implements Output {
  readonly isTerminal: boolean;
  readonly #stream: Writable;
  readonly #name: string;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES_STREAM_OUTPUT);
  #used = 0;
  #closed = false;

  constructor(stream: Writable & { isTTY?: boolean }, name: string) {
    this.#stream = stream;
    this.#name = name;
    this.isTerminal = stream.isTTY === true;
    // Each write hears of its own failure; without a listener the event would end the process besides.
    stream.on('error', () => undefined);
  }

  get closed(): boolean {
    return this.#closed;
  }

  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    if (bytes > BUFFER_BYTES_STREAM_OUTPUT - this.#used) await this.flush();
    if (bytes > BUFFER_BYTES_STREAM_OUTPUT) return this.#send(typeof data === 'string' ? Buffer.from(data) : data);
    if (typeof data === 'string') this.#buffer.write(data, this.#used);
    else this.#buffer.set(data, this.#used);
    this.#used += bytes;
  }

  async flush(): Promise<void> {
    if (this.#used === 0) return;
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#used = 0;
    await this.#send(bytes);
  }

  async #send(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return;
    const error = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) => {
      this.#stream.write(bytes, resolve);
    });
    if (!error) return;
    this.#closed = true;
    if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED') return;
    const errno = error.code ?? 'EIO';
    throw new PageStoreError('IO', `write failed (${errno})`, { file: this.#name, errno }, error);
  }
}

/** Prints what a command has to say, as text or as JSON Lines. */
export class Printer {
  readonly #context: Context;
  readonly #json: boolean;

  constructor(context: Context, options: CommonOptions) {
    this.#context = context;
    this.#json = options.json === true;
  }

  /** Whether nobody reads any more. */
  get closed(): boolean {
    return this.#context.stdout.closed;
  }

  /** One thing: a line of text, or a JSON line with the same in fields. */
  async item(text: string, type: string, fields: () => object): Promise<void> {
    if (this.#json) await this.json(type, fields);
    else await this.#context.stdout.write(`${text}\n`);
  }

  /** A JSON line that text output does without. */
  async json(type: string, fields: () => object): Promise<void> {
    if (this.#json && !this.closed) await this.#context.stdout.write(jsonLine(type, fields()));
  }

  /** Text that JSON output does without. */
  async text(lines: Iterable<string>): Promise<void> {
    if (this.#json) return;
    for (const line of lines) {
      if (this.closed) return;
      await this.#context.stdout.write(line);
    }
  }

  /** The last line of JSON output. */
  async summary(command: string, file: string, fields: object): Promise<void> {
    if (!this.#json) return;
    await this.#context.stdout.write(jsonLine('summary', { schema: SCHEMA_VERSION, command, file, ...fields }));
  }
}
