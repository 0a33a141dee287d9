import type { Writable } from 'node:stream';
import { PageStoreError } from '../errors.ts';
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
  /** Standard input stays open. */
  close(): Promise<void>;
}

/** All that a command uses of its process, so that a test can replace every part of it. */
export interface Context {
  /** A command that does not read standard input must not open it. */
  readonly openStdin: () => Promise<Input>;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Aborted by SIGINT and SIGTERM; its reason is an {@link Interrupted}. */
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

const BUFFER_BYTES = 65_536;

/** A block id of 8 digits, a slot of 7, a colon and a byte after it fit. */
const MAX_REF_BYTES = 32;

/** Buffered output: a promise for each node would take longer than writing it. */
export abstract class Output {
  abstract readonly isTerminal: boolean;
  /** Whether the reader of a pipe has gone. Further writes are dropped. */
  abstract readonly closed: boolean;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #usedBytes = 0;

  /** Writes all of `bytes`, which stay unchanged until the promise resolves. */
  protected abstract send(bytes: Uint8Array): Promise<void>;

  /** The bytes may be changed again once the promise resolves. */
  async write(data: string | Uint8Array): Promise<void> {
    if (this.tryWrite(data)) return;
    await this.flush();
    if (!this.tryWrite(data)) await this.send(typeof data === 'string' ? Buffer.from(data) : data);
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
    await this.send(bytes);
  }

  #put(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#usedBytes);
    this.#usedBytes += bytes.length;
  }
}

export class StreamOutput extends Output {
  readonly isTerminal: boolean;
  readonly #stream: Writable;
  readonly #name: string;
  closed = false;

  constructor(stream: Writable & { isTTY?: boolean }, name: string) {
    super();
    this.#stream = stream;
    this.#name = name;
    this.isTerminal = stream.isTTY === true;
    // Each write gets its own error; an 'error' event without a listener would end the process as well.
    stream.on('error', () => undefined);
  }

  protected async send(bytes: Uint8Array): Promise<void> {
    if (this.closed) return;
    const error = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) => {
      this.#stream.write(bytes, resolve);
    });
    if (!error) return;
    this.closed = true;
    if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED') return;
    const errno = error.code ?? 'EIO';
    throw new PageStoreError('IO', `write failed (${errno})`, { file: this.#name, errno }, error);
  }
}
