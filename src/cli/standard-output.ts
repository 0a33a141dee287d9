import { type BigIntStats, closeSync, fstatSync, write, writeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import type { WriteStream } from 'node:tty';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type CallHistory, CallScheduler } from '../disk/node-block-file.ts';
import { errnoOf, identityOfStats } from '../disk/node-fs.ts';
import { PageStoreError } from '../errors.ts';
import { DEFAULT_COLUMNS, Output } from './context.ts';

const writeDescriptor = promisify(write);

/**
 * Standard output or error of this process. The streams of Node are used only for pipes, sockets and terminals: the one
 * for files takes a write that the system has cut for a whole one, and the one for other things drops everything.
 * @param descriptor - 1 or 2 @param stream - opens the stream of Node
 */
export async function standardOutput(descriptor: number, name: string, stream: () => Writable): Promise<Output> {
  const stats = statsOf(descriptor);
  if (stats?.isFile() === true) return new DescriptorOutput(descriptor, name, identityOfStats(stats));
  const opened = stream();
  const { Socket } = await import('node:net');
  // Terminals are sockets for Node as well.
  return opened instanceof Socket ? new StreamOutput(opened, name) : new DescriptorOutput(descriptor, name);
}

function statsOf(descriptor: number): BigIntStats | undefined {
  try {
    return fstatSync(descriptor, { bigint: true });
  } catch {
    return undefined; // it is closed: writing reports that
  }
}

/** A pipe, a socket or a terminal. */
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

  /** Asked anew each time: work between two redraws may not let an event of a new size through. */
  override get columns(): number {
    const [columns] = this.isTerminal ? (this.#stream as WriteStream).getWindowSize() : [0];
    return columns > 0 ? columns : DEFAULT_COLUMNS;
  }

  protected async send(bytes: Uint8Array): Promise<void> {
    if (this.closed) return;
    const error = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) => {
      this.#stream.write(bytes, resolve);
    });
    if (!error) return;
    this.closed = true;
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw writeError(this.#name, error);
  }
}

/** How long to wait for a device that takes no bytes at the moment. */
const RETRY_MS = 10;

/** A file or a device. */
export class DescriptorOutput extends Output {
  readonly isTerminal = false;
  readonly #descriptor: number;
  readonly #name: string;
  override readonly identity: string | undefined;
  readonly #calls = new CallScheduler();
  readonly #writes: CallHistory = { isSlow: false };
  closed = false;

  /** @param identity - device and inode of a file; undefined for a device */
  constructor(descriptor: number, name: string, identity?: string) {
    super();
    this.#descriptor = descriptor;
    this.#name = name;
    this.identity = identity;
  }

  protected async send(bytes: Uint8Array): Promise<void> {
    if (this.closed) return;
    try {
      for (let done = 0; done < bytes.length;) {
        const written = await this.#write(bytes, done);
        // A device that accepts nothing would loop forever.
        if (written === 0) throw new Error('nothing was written');
        done += written ?? 0;
      }
    } catch (error) {
      this.closed = true;
      if (errnoOf(error) !== 'EPIPE') throw writeError(this.#name, error);
    }
  }

  /** @returns bytes written, possibly fewer than there are; undefined if the device asks to wait */
  async #write(bytes: Uint8Array, offset: number): Promise<number | undefined> {
    const [descriptor, length] = [this.#descriptor, bytes.length - offset];
    const synchronously = (): number => writeSync(descriptor, bytes, offset, length, null);
    const asynchronously = async (): Promise<number> =>
      (await writeDescriptor(descriptor, bytes, offset, length, null)).bytesWritten;
    try {
      return await this.#calls.run(this.#writes, synchronously, asynchronously);
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw error;
      await setTimeout(RETRY_MS);
      return undefined;
    }
  }

  /** A network file system may report a full disk only here. */
  protected override async ended(): Promise<void> {
    if (this.closed || this.identity === undefined) return;
    this.closed = true;
    try {
      closeSync(this.#descriptor);
    } catch (error) {
      throw writeError(this.#name, error);
    }
  }
}

function writeError(name: string, error: unknown): PageStoreError {
  const errno = errnoOf(error) || 'EIO';
  return new PageStoreError('IO', `write failed (${errno})`, { file: name, errno }, error);
}
