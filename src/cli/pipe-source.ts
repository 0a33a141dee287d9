import type { Socket, SocketConstructorOpts, TcpSocketConnectOpts } from 'node:net';
import type { ByteSource } from './byte-source.ts';

/** As much as a pipe holds. */
const PIPE_BYTES = 65_536;

/**
 * A pipe. Not by way of a stream of Node, which allocates 64 KiB for each chunk: garbage collection does not keep up with
 * that. Nor by reading the descriptor: a read that waits cannot be interrupted, and keeps the process from ending.
 */
export class PipeSource implements ByteSource {
  readonly #buffer = Buffer.allocUnsafe(PIPE_BYTES);
  readonly #open: () => Promise<number>;
  #socket: Socket | undefined;
  /** What the buffer holds that nobody has read: `[at, held)`. */
  #at = 0;
  #held = 0;
  #ended = false;
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  /** @param open - gives the descriptor, when the first bytes are asked for */
  constructor(open: () => Promise<number>) {
    this.#open = open;
  }

  async read(target: Uint8Array): Promise<number> {
    this.#socket ??= await this.#connect(await this.#open());
    while (this.#at === this.#held) {
      if (this.#failure) throw this.#failure;
      if (this.#ended) return 0;
      this.#socket.resume();
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const bytes = Math.min(target.length, this.#held - this.#at);
    target.set(this.#buffer.subarray(this.#at, this.#at + bytes));
    this.#at += bytes;
    return bytes;
  }

  async #connect(descriptor: number): Promise<Socket> {
    const { Socket } = await import('node:net');
    // Documented for connections, and taken by the constructor as well.
    const options: SocketConstructorOpts & Pick<TcpSocketConnectOpts, 'onread'> = {
      fd: descriptor,
      readable: true,
      writable: false,
      onread: {
        buffer: this.#buffer,
        callback: (bytes) => {
          this.#at = 0;
          this.#held = bytes;
          this.#wake();
          return false; // pauses: the buffer is in use until all of it has been read
        },
      },
    };
    const socket = new Socket(options);
    socket.on('error', (error) => (this.#failure = error));
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
    return socket;
  }
}
