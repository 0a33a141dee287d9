import type { ByteSource } from './byte-source.ts';

/** Where a command writes to. Small writes are gathered; what is written to a closed pipe is dropped. */
export interface Output {
  readonly isTerminal: boolean;
  /** Set once the reader at the other end has gone: whoever produces output may stop. */
  readonly closed: boolean;
  /** Takes text or bytes; bytes may be changed again once it resolves. */
  write(data: string | Uint8Array): Promise<void>;
  /** Resolves when everything written so far has been handed to the system. */
  flush(): Promise<void>;
}

/** The world as a command sees it: passed in, so that a test can hold every part of it. */
export interface Context {
  readonly stdin: ByteSource;
  /** How many bytes standard input has, where that is known. */
  readonly stdinBytes: number | undefined;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Aborted by SIGINT and SIGTERM; its reason is an {@link Interrupted}. */
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Why a command stopped before its end: somebody asked for it. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Runs the body of a command. What it returns is the exit code, 0 where it returns nothing. */
export type Runner = (body: (context: Context) => Promise<number | void>) => Promise<void>;
