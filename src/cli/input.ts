import { type FileHandle, open, stat } from 'node:fs/promises';
import { PageStoreError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import type { Context } from './context.ts';

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
    const source = new FileSource(path);
    return { source, totalBytes: stats.isFile() ? stats.size : undefined, close: () => source.close() };
  } catch (error) {
    throw inputError(path, error);
  }
}

/** A file, opened when it is first read: opening a pipe waits for its other end, and that has to be interruptible. */
class FileSource implements ByteSource {
  readonly #path: string;
  #handle: FileHandle | undefined;
  #isReading = false;

  constructor(path: string) {
    this.#path = path;
  }

  async read(target: Uint8Array): Promise<number> {
    try {
      this.#isReading = true;
      this.#handle ??= await open(this.#path, 'r');
      return (await this.#handle.read(target, 0, target.length, null)).bytesRead;
    } catch (error) {
      throw inputError(this.#path, error);
    } finally {
      this.#isReading = false;
    }
  }

  /** Closing would wait for a read under way, which of a pipe may never end; the end of the process will not. */
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

/** Reads a stream piece by piece, and notices when it pauses. */
export class InputReader {
  readonly #source: ByteSource;
  readonly #to: InputTarget;
  readonly #signal: AbortSignal;
  #next: Promise<number> | undefined;

  constructor(source: ByteSource, to: InputTarget, signal: AbortSignal) {
    this.#source = source;
    this.#to = to;
    this.#signal = signal;
  }

  /**
   * Waits for more input.
   * @param pauseMs - after so long without any, the answer is a pause; without it, it waits on
   * @throws the signal's reason, once it is aborted
   */
  async nextEvent(pauseMs: number | undefined): Promise<InputEvent> {
    this.#next ??= this.#source.read(this.#to.target());
    const bytes = await this.#firstOf(this.#next, pauseMs);
    if (bytes === 'pause') return { kind: 'pause' };
    this.#next = undefined;
    if (bytes === 0) return { kind: 'end' };
    this.#to.filled(bytes);
    return { kind: 'bytes', bytes };
  }

  /** Not Promise.race: that would leave a reaction behind on the signal's promise for each chunk. */
  async #firstOf<T>(next: Promise<T>, pauseMs: number | undefined): Promise<T | 'pause'> {
    const signal = this.#signal;
    let interrupt: (() => void) | undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<T | 'pause'>((resolve, reject) => {
        interrupt = (): void => reject(signal.reason as Error);
        if (signal.aborted) return interrupt();
        signal.addEventListener('abort', interrupt);
        if (pauseMs !== undefined) timer = setTimeout(resolve, pauseMs, 'pause');
        next.then(resolve, reject);
      });
    } finally {
      clearTimeout(timer);
      if (interrupt) signal.removeEventListener('abort', interrupt);
    }
  }
}
