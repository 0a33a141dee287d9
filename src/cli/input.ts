import { type BigIntStats, constants, fstatSync, open as openWithCallback, read, readSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import type { Socket, SocketConstructorOpts, TcpSocketConnectOpts } from 'node:net';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';
import { type CallHistory, CallScheduler } from '../disk/node-block-file.ts';
import { identityOfStats } from '../disk/node-fs.ts';
import { PageStoreError } from '../errors.ts';
import type { ByteSource, Context, Input } from './context.ts';
import type { CommandRun } from './command.ts';

/** After a pause of this length in the input, the nodes so far are committed. */
const PAUSE_MS = 50;

/** Input that neither pauses nor fills a batch is committed after this time. */
export const LONGEST_WAIT_MS = 1000;

/** As much as a pipe holds. */
export const CHUNK_BYTES = 65_536;

const openDescriptor = promisify(openWithCallback);
const readDescriptor = promisify(read);
const nothingToClose = async (): Promise<void> => undefined;

/** @param option - that names the path, for messages */
export async function openInput(context: Context, path: string | undefined, option = '--input'): Promise<Input> {
  if (path === undefined || path === '-') return context.openStdin();
  try {
    const stats = await stat(path, { bigint: true });
    if (stats.isFIFO()) {
      // Opened without waiting for its writer: the first read waits.
      const source = new PipeSource(async () =>
        openDescriptor(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
          throw inputError(path, error, option);
        }),
      );
      return { source, totalBytes: undefined, close: nothingToClose };
    }
    const source = new FileSource(path, stats.isFile(), option);
    return { source, ...sizeAndIdentity(stats), close: () => source.close() };
  } catch (error) {
    throw inputError(path, error, option);
  }
}

export function standardInput(): Input {
  let stats: BigIntStats | undefined;
  try {
    stats = fstatSync(0, { bigint: true });
  } catch {
    // It is closed; reading it fails.
  }
  let source: ByteSource | undefined;
  return {
    // Opened by the first read: a command that fails before must not touch standard input.
    source: {
      read: async (target) => {
        try {
          return await (source ??= standardInputSource(stats)).read(target);
        } catch (error) {
          throw standardInputError(error);
        }
      },
    },
    ...sizeAndIdentity(stats),
    isTerminal: stats?.isCharacterDevice() === true && isatty(0),
    close: nothingToClose,
  };
}

function standardInputError(error: unknown): unknown {
  if (error instanceof PageStoreError || !(error instanceof Error) || !('syscall' in error)) return error;
  const errno = (error as NodeJS.ErrnoException).code ?? 'EIO';
  return new PageStoreError('IO', `cannot read standard input: ${error.message}`, { errno }, error);
}

/** Says to who sits before a terminal what a command waits for. */
export async function noteTypedInput(run: CommandRun, { isTerminal = false }: Input, what: string): Promise<void> {
  if (!isTerminal) return;
  await run.note(`reading ${what} from standard input; end it with Ctrl-D on an empty line`);
  await run.context.stderr.flush();
}

function sizeAndIdentity(stats: BigIntStats | undefined): Pick<Input, 'totalBytes' | 'identity'> {
  if (stats?.isFile() !== true) return { totalBytes: undefined };
  return { totalBytes: Number(stats.size), identity: identityOfStats(stats) };
}

function standardInputSource(stats: BigIntStats | undefined): ByteSource {
  if (stats?.isDirectory() === true)
    throw new PageStoreError('IO', 'standard input is a directory (EISDIR)', { errno: 'EISDIR' });
  if (stats?.isFile() === true)
    return { read: async (target) => (await readDescriptor(0, target, 0, target.length, null)).bytesRead };
  if (stats?.isFIFO() === true || stats?.isSocket() === true) return new PipeSource(async () => 0);
  return new ChunkSource(process.stdin as AsyncIterable<Uint8Array>);
}

class FileSource implements ByteSource {
  readonly #path: string;
  readonly #isRegular: boolean;
  readonly #pace = new CallScheduler();
  readonly #reads: CallHistory = { isSlow: false };
  #handle: FileHandle | undefined;
  #isReading = false;

  readonly #option: string;

  /** @param isRegular - reads of anything else may block, so they are never synchronous */
  constructor(path: string, isRegular: boolean, option: string) {
    this.#option = option;
    this.#path = path;
    this.#isRegular = isRegular;
  }

  async read(target: Uint8Array): Promise<number> {
    try {
      this.#isReading = true;
      const handle = (this.#handle ??= await open(this.#path, 'r'));
      const asynchronously = async (): Promise<number> => (await handle.read(target, 0, target.length, null)).bytesRead;
      if (!this.#isRegular) return await asynchronously();
      const synchronously = (): number => readSync(handle.fd, target, 0, target.length, null);
      return await this.#pace.run(this.#reads, synchronously, asynchronously);
    } catch (error) {
      throw inputError(this.#path, error, this.#option);
    } finally {
      this.#isReading = false;
    }
  }

  /** Does not wait for a pending read, which may never end on a terminal. */
  async close(): Promise<void> {
    if (!this.#isReading) await this.#handle?.close();
  }
}

function inputError(path: string, error: unknown, option: string): unknown {
  if (error instanceof PageStoreError || !(error instanceof Error) || !('syscall' in error)) return error;
  const errno = (error as NodeJS.ErrnoException).code ?? 'EIO';
  const messages: Readonly<Record<string, string>> = {
    ENOENT: `no such file (${option})`,
    EISDIR: `this is a directory; ${option} needs a file`,
  };
  const message = messages[errno] ?? `cannot read the input: ${error.message}`;
  return new PageStoreError('IO', message, { file: path, errno }, error);
}

/** A stream of chunks. Each is valid until the next one is requested. */
export class ChunkSource implements ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #offset = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async read(target: Uint8Array): Promise<number> {
    while (this.#offset === this.#chunk.length) {
      const next = await this.#chunks.next();
      if (next.done === true) return 0;
      this.#chunk = next.value;
      this.#offset = 0;
    }
    const bytes = Math.min(target.length, this.#chunk.length - this.#offset);
    target.set(this.#chunk.subarray(this.#offset, this.#offset + bytes));
    this.#offset += bytes;
    return bytes;
  }
}

/**
 * A pipe, read through a socket: a stream of Node allocates 64 KiB per chunk, faster than they are collected, and a
 * pending read of the descriptor cannot be interrupted and keeps the process from ending.
 */
class PipeSource implements ByteSource {
  readonly #buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  readonly #open: () => Promise<number>;
  #socket: Socket | undefined;
  /** `buffer[offset, end)` has not been read yet. */
  #offset = 0;
  #end = 0;
  #hasEnded = false;
  #error: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(openPipe: () => Promise<number>) {
    this.#open = openPipe;
  }

  async read(target: Uint8Array): Promise<number> {
    this.#socket ??= await this.#connect(await this.#open());
    while (this.#offset === this.#end) {
      if (this.#error) throw this.#error;
      if (this.#hasEnded) return 0;
      this.#socket.resume();
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const bytes = Math.min(target.length, this.#end - this.#offset);
    target.set(this.#buffer.subarray(this.#offset, this.#offset + bytes));
    this.#offset += bytes;
    return bytes;
  }

  async #connect(descriptor: number): Promise<Socket> {
    const { Socket } = await import('node:net');
    // `onread` is documented for connections; the constructor takes it too.
    const options: SocketConstructorOpts & Pick<TcpSocketConnectOpts, 'onread'> = {
      fd: descriptor,
      readable: true,
      writable: false,
      onread: {
        buffer: this.#buffer,
        callback: (bytes) => {
          this.#offset = 0;
          this.#end = bytes;
          this.#wake();
          return false; // pauses the socket until all of the buffer has been read
        },
      },
    };
    const socket = new Socket(options);
    socket.on('error', (error) => (this.#error = error));
    socket.on('close', () => {
      this.#hasEnded = true;
      this.#wake();
    });
    return socket;
  }
}

/** How many bytes were read, 0 at the end of the input; or that the input pauses. */
export type InputEvent = number | 'pause';

/** Reads an input and notices pauses. All reads share one timer and one listener, to keep garbage low. */
export class InputReader {
  readonly #source: ByteSource;
  readonly #target: () => Uint8Array;
  readonly #signal: AbortSignal;
  #isReading = false;
  /** Result of a completed read, not reported yet. */
  #bytes: number | undefined;
  #failure: { readonly error: unknown } | undefined;
  #pauseTimer: NodeJS.Timeout | undefined;
  #mayPause = false;
  #resolve: (event: InputEvent) => void = notWaiting;
  #reject: (error: unknown) => void = notWaiting;

  constructor(source: ByteSource, target: () => Uint8Array, signal: AbortSignal) {
    this.#source = source;
    this.#target = target;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#reject(signal.reason));
  }

  startRead(): void {
    if (!this.#isReading && this.#bytes === undefined && this.#failure === undefined) void this.#read();
  }

  /** Waits for more input. @param mayPause - whether to report a pause @throws the reason of the signal */
  async nextEvent(mayPause: boolean): Promise<InputEvent> {
    this.#signal.throwIfAborted();
    this.startRead();
    return new Promise<InputEvent>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#mayPause = mayPause;
      if (this.#bytes !== undefined || this.#failure !== undefined) this.#report();
      else if (mayPause) this.#startPause();
    });
  }

  /** Never rejects: the next event reports the error. */
  async #read(): Promise<void> {
    this.#isReading = true;
    try {
      this.#bytes = await this.#source.read(this.#target());
    } catch (error) {
      this.#failure = { error };
    }
    this.#isReading = false;
    this.#report();
  }

  #report(): void {
    if (this.#resolve === notWaiting) return;
    const [resolve, reject, bytes = 0] = [this.#resolve, this.#reject, this.#bytes];
    this.#endWait();
    if (this.#failure !== undefined) return reject(this.#failure.error);
    this.#bytes = undefined;
    resolve(bytes);
  }

  #startPause(): void {
    if (this.#pauseTimer) this.#pauseTimer.refresh();
    else this.#pauseTimer = setTimeout(() => this.#reportPause(), PAUSE_MS);
  }

  /** The timer runs on after a wait; the next wait restarts it. */
  #reportPause(): void {
    if (!this.#mayPause || this.#resolve === notWaiting) return;
    const resolve = this.#resolve;
    this.#endWait();
    resolve('pause');
  }

  #endWait(): void {
    this.#resolve = this.#reject = notWaiting;
    this.#mayPause = false;
  }
}

const notWaiting = (): void => undefined;

/** This much is still in the processor's cache when it is packed. */
const MAX_READ_BYTES = 262_144;

/** Less space than this is not worth a system call. */
const MIN_READ_BYTES = 65_536;

/** Holds the longest frame, and a read after it. */
export const WINDOW_BYTES: number = 3 * MAX_READ_BYTES;

/** Reads go to the window from here on: see `readBuffer` for why not to the start of a memory page. */
const START = 64;

/**
 * Input that has been read and not taken: `block[start, end)`. Every frame is contiguous, however the reads split it.
 * Reads go to the start of the block where possible, so that most inputs touch only its first part.
 */
export class InputWindow {
  block: Uint8Array;
  /** The filled part of the block, for searches that must not go past it. */
  filledBytes: Buffer = Buffer.alloc(0);
  start: number = START;
  end: number = START;
  readonly #nextBlock: () => Uint8Array;

  /** @param nextBlock - memory of 768 KiB for the next read and what was not taken before; by default the same each time */
  constructor(nextBlock?: () => Uint8Array) {
    this.block = nextBlock === undefined ? new Uint8Array(WINDOW_BYTES) : new Uint8Array(0);
    this.#nextBlock = nextBlock ?? (() => this.block);
  }

  /** Space for the next read. @throws RangeError if there is none */
  target(): Uint8Array {
    const block = this.#nextBlock();
    // A long frame is moved only once; afterwards it is at the start.
    if (this.start > START || block !== this.block) block.set(this.block.subarray(this.start, this.end), START);
    this.block = block;
    this.end += START - this.start;
    this.start = START;
    this.filled(0);
    if (block.length - this.end < MIN_READ_BYTES) throw new RangeError('a frame is longer than the window');
    return block.subarray(this.end, Math.min(this.end + MAX_READ_BYTES, block.length));
  }

  filled(bytes: number): void {
    this.end += bytes;
    this.filledBytes = Buffer.from(this.block.buffer, this.block.byteOffset, this.end);
  }
}

/** Each chunk is valid until the next one is requested. @throws the reason of the signal, also during a read */
export async function* inputChunks(input: Input, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  const reader = new InputReader(input.source, () => buffer, signal);
  for (;;) {
    const bytes = await reader.nextEvent(false);
    if (bytes === 0 || bytes === 'pause') return;
    yield buffer.subarray(0, bytes);
  }
}
