import type { Writable } from 'node:stream';
import { PageStoreError } from '../errors.ts';
import type { Output } from './context.ts';

const BUFFER_BYTES = 65_536;

/** An {@link Output} over a stream of the process. */
export class StreamOutput implements Output {
  readonly isTerminal: boolean;
  readonly #stream: Writable;
  readonly #name: string;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
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
    if (bytes > BUFFER_BYTES - this.#used) await this.flush();
    if (bytes > BUFFER_BYTES) return this.#send(typeof data === 'string' ? Buffer.from(data) : data);
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
