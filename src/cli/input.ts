import { constants, open as openWithCallback, readSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type CallKind, CallPace } from '../disk/node-block-file.ts';
import { PageStoreError } from '../errors.ts';
import { type ByteSource, PipeSource } from './byte-source.ts';
import type { Context } from './context.ts';

/** After so long without input, what has come so far is made durable. */
export const PAUSE_MS = 50;

/** Input that neither pauses nor fills a batch is made durable after so long all the same. */
export const LONGEST_WAIT_MS = 1000;

/** Longest frame: no page holds as much, and hex takes two characters for a byte. */
export const MAX_FRAME_BYTES: number = 2 * 262_144;

const openDescriptor = promisify(openWithCallback);

/** A stream of bytes, and how many there will be where that is known. */
export interface Input {
  readonly source: ByteSource;
  readonly totalBytes: number | undefined;
  /** Ends the reading; standard input stays open. */
  close(): Promise<void>;
}

/** Standard input, or the file at `path`. */
export async function openInput(context: Context, path: string | undefined): Promise<Input> {
  if (path === undefined || path === '-') {
    return { source: context.stdin, totalBytes: context.stdinBytes, close: async () => undefined };
  }
  try {
    const stats = await stat(path);
    if (stats.isFIFO()) return { source: fifoAt(path), totalBytes: undefined, close: async () => undefined };
    const source = new FileSource(path, stats.isFile());
    return { source, totalBytes: stats.isFile() ? stats.size : undefined, close: () => source.close() };
  } catch (error) {
    throw inputError(path, error);
  }
}

/** A pipe with a name. Opened so that it does not wait for the other end to be opened: reading it does. */
function fifoAt(path: string): ByteSource {
  return new PipeSource(async () => {
    try {
      return await openDescriptor(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw inputError(path, error);
    }
  });
}

class FileSource implements ByteSource {
  readonly #path: string;
  #handle: FileHandle | undefined;
  #isReading = false;
  readonly #isRegular: boolean;
  readonly #pace = new CallPace();
  readonly #reads: CallKind = { isLong: false };

  /** @param isRegular - whether it is a regular file: anything else may keep a read waiting */
  constructor(path: string, isRegular: boolean) {
    this.#path = path;
    this.#isRegular = isRegular;
  }

  async read(target: Uint8Array): Promise<number> {
    try {
      this.#isReading = true;
      const handle = (this.#handle ??= await open(this.#path, 'r'));
      const elsewhere = async (): Promise<number> => (await handle.read(target, 0, target.length, null)).bytesRead;
      if (!this.#isRegular) return await elsewhere();
      return await this.#pace.make(this.#reads, () => readSync(handle.fd, target, 0, target.length, null), elsewhere);
    } catch (error) {
      throw inputError(this.#path, error);
    } finally {
      this.#isReading = false;
    }
  }

  /** Closing would wait for a read under way, which of a terminal may never end; the end of the process will not. */
  async close(): Promise<void> {
    if (!this.#isReading) await this.#handle?.close();
  }
}

function inputError(path: string, error: unknown): unknown {
  if (error instanceof PageStoreError || !(error instanceof Error) || !('syscall' in error)) return error;
  const errno = (error as NodeJS.ErrnoException).code ?? 'EIO';
  return new PageStoreError('IO', `cannot read the input: ${error.message}`, { file: path, errno }, error);
}

/** What `nextEvent` came back with: more input, the end of it, or a pause in it. */
export type InputEvent = { readonly kind: 'bytes'; readonly bytes: number } | { readonly kind: 'end' | 'pause' };

/** Where input is read to. */
export interface InputTarget {
  /** Room for the next bytes. */
  target(): Uint8Array;
  /** Says how many bytes that room was given. */
  filled(bytes: number): void;
}

/**
 * Reads a stream piece by piece, and notices when it pauses. One timer and one listener serve for all pieces: made anew for
 * each, they would be most of the garbage of a long input.
 */
export class InputReader {
  readonly #source: ByteSource;
  readonly #to: InputTarget;
  readonly #signal: AbortSignal;
  #isReading = false;
  /** What a read came back with, and nobody has taken. */
  #bytes: number | undefined;
  #failure: { readonly error: unknown } | undefined;
  #pause: NodeJS.Timeout | undefined;
  #mayPause = false;
  #resolve: (event: InputEvent) => void = nobodyWaits;
  #reject: (error: unknown) => void = nobodyWaits;

  constructor(source: ByteSource, to: InputTarget, signal: AbortSignal) {
    this.#source = source;
    this.#to = to;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#reject(signal.reason));
  }

  /**
   * Waits for more input.
   * @param mayPause - whether the answer is a pause after {@link PAUSE_MS} without any; else it waits on
   * @throws the signal's reason, once it is aborted
   */
  async nextEvent(mayPause: boolean): Promise<InputEvent> {
    this.#signal.throwIfAborted();
    if (!this.#isReading && this.#bytes === undefined && this.#failure === undefined) void this.#read();
    return new Promise<InputEvent>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#mayPause = mayPause;
      if (this.#bytes !== undefined || this.#failure !== undefined) this.#answer();
      else if (mayPause) this.#awaitPause();
    });
  }

  /** Never rejects: whoever waits next is told. */
  async #read(): Promise<void> {
    this.#isReading = true;
    try {
      this.#bytes = await this.#source.read(this.#to.target());
    } catch (error) {
      this.#failure = { error };
    }
    this.#isReading = false;
    this.#answer();
  }

  /** Tells who waits what has come; it stays where nobody does. */
  #answer(): void {
    if (this.#resolve === nobodyWaits) return;
    const [resolve, reject, bytes] = [this.#resolve, this.#reject, this.#bytes];
    this.#forgetWaiting();
    if (this.#failure !== undefined) return reject(this.#failure.error);
    this.#bytes = undefined;
    if (bytes === undefined || bytes === 0) return resolve({ kind: 'end' });
    this.#to.filled(bytes);
    resolve({ kind: 'bytes', bytes });
  }

  #awaitPause(): void {
    if (this.#pause) this.#pause.refresh();
    else this.#pause = setTimeout(() => this.#tellPause(), PAUSE_MS);
  }

  /** The timer of a wait that is over runs on; the next wait sets it back. */
  #tellPause(): void {
    if (!this.#mayPause || this.#resolve === nobodyWaits) return;
    const resolve = this.#resolve;
    this.#forgetWaiting();
    resolve({ kind: 'pause' });
  }

  #forgetWaiting(): void {
    this.#resolve = this.#reject = nobodyWaits;
    this.#mayPause = false;
  }
}

const nobodyWaits = (): void => undefined;

/** Most that is read at once: it is still in the processor's cache when it is packed. */
const READ_BYTES = 262_144;

/** Less room than this is not worth a call to the system. */
const LEAST_READ_BYTES = 65_536;

/** Holds the longest frame, twice what a page does, and a read behind it. */
const WINDOW_BYTES = 3 * READ_BYTES;

/**
 * The input between the system and the pages: it is read into one block and packed from there, so a frame stands in one
 * piece however the reads cut it. `block[start, end)` is what has not been taken yet. A read begins where the frame before
 * was cut, at the beginning of the block, so of most input only the first part of it is ever touched.
 */
export class InputWindow {
  readonly block: Uint8Array = new Uint8Array(WINDOW_BYTES);
  /** What the block holds so far, for searches that must not go beyond it. */
  filledBytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;

  /** Where the next bytes of the input are to go; what was taken is gone then. @throws RangeError where no room is left */
  target(): Uint8Array {
    // A frame longer than a read is moved once: from then on it is at the beginning.
    this.block.copyWithin(0, this.start, this.end);
    this.end -= this.start;
    this.start = 0;
    this.filled(0);
    if (this.block.length - this.end < LEAST_READ_BYTES) throw new RangeError('a frame is longer than the window');
    return this.block.subarray(this.end, Math.min(this.end + READ_BYTES, this.block.length));
  }

  /** Says how many bytes the target was given. */
  filled(bytes: number): void {
    this.end += bytes;
    this.filledBytes = Buffer.from(this.block.buffer, 0, this.end);
  }
}

const CHUNK_BYTES = 65_536;

/**
 * The pieces of an input, each valid until the next is asked for.
 * @throws the signal's reason once it is aborted, also while it waits
 */
export async function* inputChunks(input: Input, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  const reader = new InputReader(input.source, { target: () => buffer, filled: () => undefined }, signal);
  for (;;) {
    const event = await reader.nextEvent(false);
    if (event.kind !== 'bytes') return;
    yield buffer.subarray(0, event.bytes);
  }
}
