import { fstatSync, read, type Stats } from 'node:fs';
import type { Socket, SocketConstructorOpts, TcpSocketConnectOpts } from 'node:net';
import { promisify } from 'node:util';
import { PageStoreError } from '../errors.ts';

/** A stream of bytes that is read to where its reader says. */
export interface ByteSource {
  /**
   * Reads what comes next, as much as there is.
   * @param target - at least a byte, which must not be touched until it resolves
   * @returns how many bytes it wrote to the beginning of `target`; 0 at the end of the stream
   */
  read(target: Uint8Array): Promise<number>;
}

/** A stream that comes in chunks of its own, each of which is valid until the next one is asked for. */
export class ChunkSource implements ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async read(target: Uint8Array): Promise<number> {
    while (this.#at === this.#chunk.length) {
      const next = await this.#chunks.next();
      if (next.done === true) return 0;
      this.#chunk = next.value;
      this.#at = 0;
    }
    const bytes = Math.min(target.length, this.#chunk.length - this.#at);
    target.set(this.#chunk.subarray(this.#at, this.#at + bytes));
    this.#at += bytes;
    return bytes;
  }
}

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

/** Standard input, opened when it is first read: a command that does not read it must not touch it. */
export class StandardInput implements ByteSource {
  #source: ByteSource | undefined;

  async read(target: Uint8Array): Promise<number> {
    this.#source ??= openStandardInput();
    return this.#source.read(target);
  }
}

function openStandardInput(): ByteSource {
  const stats = inputStats();
  if (stats?.isDirectory() === true)
    throw new PageStoreError('IO', 'standard input is a directory (EISDIR)', { errno: 'EISDIR' });
  if (stats?.isFile() === true) return standardFile;
  if (stats?.isFIFO() === true || stats?.isSocket() === true) return new PipeSource(async () => 0);
  return new ChunkSource(process.stdin as AsyncIterable<Uint8Array>);
}

const readDescriptor = promisify(read);

const standardFile: ByteSource = {
  async read(target) {
    return (await readDescriptor(0, target, 0, target.length, null)).bytesRead;
  },
};

/** How many bytes standard input has, where it is a file. */
export function standardInputBytes(): number | undefined {
  const stats = inputStats();
  return stats?.isFile() === true ? stats.size : undefined;
}

function inputStats(): Stats | undefined {
  try {
    return fstatSync(0);
  } catch {
    return undefined; // closed: reading it will say so
  }
}
