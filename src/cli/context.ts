import { writeRef } from '../store/page-ref.ts';

/** A stream of bytes that is read into memory of the caller. */
export interface ByteSource {
  /**
   * Reads the next bytes, as many as there are, and returns how many; 0 at the end of the stream.
   * @param target - at least one byte; not used by the caller until the promise resolves
   */
  read(target: Uint8Array): Promise<number>;
}

export interface Input {
  readonly source: ByteSource;
  readonly totalBytes: number | undefined;
  /** Whether somebody types it. */
  readonly isTerminal?: boolean;
  /** Device and inode of a regular file. */
  readonly identity?: string | undefined;
  /** Standard input stays open. */
  close(): Promise<void>;
}

/** All that a command uses of its process, so that a test can replace every part of it. */
export interface Context {
  /** A command that does not read standard input must not open it. */
  readonly openStdin: () => Promise<Input>;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Aborted by SIGINT, SIGTERM, SIGHUP and SIGQUIT; its reason is an {@link Interrupted}. */
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

const BUFFER_BYTES = 65_536;

/** Of a terminal that does not say how wide it is. */
export const DEFAULT_COLUMNS = 80;

/** A block id of 8 digits, a slot of 7, a colon and a byte after it fit. */
const MAX_REF_BYTES = 32;

/** Buffered output: a promise for each node would take longer than writing it. */
export abstract class Output {
  abstract readonly isTerminal: boolean;
  /** The width of the terminal at this moment. */
  get columns(): number {
    return DEFAULT_COLUMNS;
  }
  /** Whether the reader of a pipe has gone. Further writes are dropped. */
  abstract readonly closed: boolean;
  /** Device and inode, if the output goes to a regular file. */
  readonly identity?: string | undefined;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #usedBytes = 0;
  #failure: { readonly error: unknown } | undefined;

  /** Writes all of `bytes`, which stay unchanged until the promise resolves. */
  protected abstract send(bytes: Uint8Array): Promise<void>;

  /** Called once, after the last write. */
  protected async ended(): Promise<void> {}

  /** The first failure of a write, which is kept although a caller may have ignored it: the output is not whole. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** The bytes may be changed again once the promise resolves. */
  async write(data: string | Uint8Array): Promise<void> {
    if (this.tryWrite(data)) return;
    await this.flush();
    if (!this.tryWrite(data)) await this.#sendAll(typeof data === 'string' ? Buffer.from(data) : data);
  }

  /** As {@link write}. @returns false, with nothing written, if the buffer has no room */
  tryWrite(data: string | Uint8Array): boolean {
    const freeBytes = BUFFER_BYTES - this.#usedBytes;
    if (typeof data === 'string') {
      if (Buffer.byteLength(data) > freeBytes) return false;
      this.#usedBytes += this.#buffer.write(data, this.#usedBytes);
    } else {
      if (data.length > freeBytes) return false;
      this.#put(data);
    }
    return true;
  }

  /** Writes a framed node, which is ASCII if it is a string. @returns as {@link tryWrite} */
  tryWriteFrame(before: Uint8Array, node: string | Uint8Array, after: Uint8Array): boolean {
    if (before.length + node.length + after.length > BUFFER_BYTES - this.#usedBytes) return false;
    if (before.length > 0) this.#put(before);
    if (typeof node === 'string') this.#usedBytes += this.#buffer.write(node, this.#usedBytes, 'latin1');
    else this.#put(node);
    this.#put(after);
    return true;
  }

  /** Writes a ref and the byte `end` without making a string. @returns as {@link tryWrite} */
  tryWriteRef(block: number, slot: number, end: number): boolean {
    if (this.#usedBytes > BUFFER_BYTES - MAX_REF_BYTES) return false;
    this.#usedBytes = writeRef(block, slot, this.#buffer, this.#usedBytes);
    this.#buffer[this.#usedBytes++] = end;
    return true;
  }

  /** Resolves when everything written so far has been handed to the operating system. */
  async flush(): Promise<void> {
    if (this.#usedBytes === 0) return;
    const bytes = this.#buffer.subarray(0, this.#usedBytes);
    this.#usedBytes = 0;
    await this.#sendAll(bytes);
  }

  /** Writes what is left, and ends the output. Does not reject: see {@link failure}. */
  async end(): Promise<void> {
    try {
      await this.flush();
      await this.ended();
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  async #sendAll(bytes: Uint8Array): Promise<void> {
    try {
      await this.send(bytes);
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    }
  }

  #put(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#usedBytes);
    this.#usedBytes += bytes.length;
  }
}
