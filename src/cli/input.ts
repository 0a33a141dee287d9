import { open, stat } from 'node:fs/promises';
import { PageStoreError } from '../errors.ts';
import type { Context } from './context.ts';

const CHUNK_BYTES = 262_144;

/** A stream of bytes, and how many there will be where that is known. */
export interface Input {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly totalBytes: number | undefined;
}

/** Standard input, or the file at `path`. A chunk is valid until the next one is asked for. */
export async function openInput(context: Context, path: string | undefined): Promise<Input> {
  if (path === undefined || path === '-') return { chunks: context.stdin, totalBytes: context.stdinBytes };
  try {
    const stats = await stat(path);
    return { chunks: readChunks(path), totalBytes: stats.isFile() ? stats.size : undefined };
  } catch (error) {
    throw inputError(path, error);
  }
}

async function* readChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    const handle = await open(path, 'r');
    try {
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
      for (;;) {
        const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, null);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw inputError(path, error);
  }
}

function inputError(path: string, error: unknown): unknown {
  if (error instanceof PageStoreError || !(error instanceof Error) || !('syscall' in error)) return error;
  const errno = (error as NodeJS.ErrnoException).code ?? 'EIO';
  return new PageStoreError('IO', `cannot read the input: ${error.message}`, { file: path, errno }, error);
}

/** What `nextEvent` came back with: more input, the end of it, or a pause in it. */
export type InputEvent = { readonly kind: 'chunk'; readonly chunk: Uint8Array } | { readonly kind: 'end' | 'pause' };

/** Reads a stream chunk by chunk, and notices when it pauses. */
export class InputReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal;
  #next: Promise<IteratorResult<Uint8Array>> | undefined;

  constructor(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    this.#iterator = chunks[Symbol.asyncIterator]();
    this.#signal = signal;
  }

  /**
   * Waits for the next chunk.
   * @param pauseMs - after so long without one, the answer is a pause; without it, it waits on
   * @throws the signal's reason, once it is aborted
   */
  async nextEvent(pauseMs: number | undefined): Promise<InputEvent> {
    this.#next ??= this.#iterator.next();
    const result = await this.#firstOf(this.#next, pauseMs);
    if (result === 'pause') return { kind: 'pause' };
    this.#next = undefined;
    return result.done === true ? { kind: 'end' } : { kind: 'chunk', chunk: result.value };
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
