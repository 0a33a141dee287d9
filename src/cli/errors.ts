import { existsSync } from 'node:fs';
import { grouped } from '../bytes/encodings.ts';
import { dirname } from 'node:path';
import { oneLine, shellPath } from '../bytes/text.ts';
import { type ErrorCode, type ErrorDetail, type OperationCode, PageStoreError } from '../errors.ts';
import type { Problem } from '../format/problem.ts';
import { type Context, Interrupted } from './context.ts';

/** Exit codes, fixed for scripts; see docs/cli.md. */
export const EXIT = { done: 0, findings: 1, usage: 2, io: 3, locked: 4, damaged: 5, interrupted: 130 } as const;

const EXIT_BY_OPERATION: Readonly<Record<OperationCode, number>> = {
  NOT_A_PAGE_FILE: EXIT.io,
  FILE_EXISTS: EXIT.io,
  FILE_FULL: EXIT.io,
  FILE_CLOSED: EXIT.io,
  FILE_LOCKED: EXIT.locked,
  FILE_READ_ONLY: EXIT.io,
  FILE_CHANGED: EXIT.locked,
  FILE_REPLACED: EXIT.io,
  FILE_HAS_TRIE: EXIT.usage,
  NO_TRIE: EXIT.io,
  OTHER_TRIE: EXIT.io,
  SAME_FILE: EXIT.usage,
  IO: EXIT.io,
  BLOCK_RANGE: EXIT.usage,
  BLOCK_FREE: EXIT.usage,
  BLOCK_IN_USE: EXIT.usage,
  SLOT_RANGE: EXIT.usage,
  NODE_TOO_LARGE: EXIT.usage,
  NODE_LENGTH: EXIT.usage,
  INVALID_REF: EXIT.usage,
  INVALID_ENCODING: EXIT.usage,
  INVALID_FRAMING: EXIT.usage,
  INVALID_LINE: EXIT.usage,
  KEY_OVERFLOW: EXIT.usage,
  KEY_NOT_FOUND: EXIT.findings,
  STALE_KEY: EXIT.usage,
  STALE_EPOCH: EXIT.usage,
  EPOCH_PINNED: EXIT.usage,
  ARENA_FULL: EXIT.io,
  SHARDS_TAKEN: EXIT.usage,
  NOT_AN_UNDO_FILE: EXIT.io,
  UNDO_MISMATCH: EXIT.io,
};

/** The exit code for an error code; every code that is not of an operation means a damaged file. */
export function exitCodeOf(code: ErrorCode): number {
  return code in EXIT_BY_OPERATION ? EXIT_BY_OPERATION[code as OperationCode] : EXIT.damaged;
}

/** A command line with wrong arguments or options. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly help: string;

  constructor(message: string, command: string | undefined) {
    super(message);
    this.help = `artrie-pages ${command === undefined ? '' : `${command} `}--help`;
  }
}

/** A new file gets its name when it is complete. */
export const NOTHING_CHANGED = 'it was not complete, so nothing under this name has changed';

/** The exit code of a command that ends with this error. */
export function exitCodeFor(error: unknown): number {
  if (error instanceof Interrupted) return EXIT.interrupted;
  if (error instanceof PageStoreError) return exitCodeOf(error.code);
  return error instanceof UsageError ? EXIT.usage : EXIT.io;
}

/** Prints an error, unless it is an interruption. @returns the exit code */
export async function reportError(error: unknown, { stderr, env }: Context): Promise<number> {
  const exit = exitCodeFor(error);
  if (error instanceof Interrupted) return exit;
  const line = errorLine(error);
  await stderr.write(`artrie-pages: ${oneLine(line)}\n`);
  const debug = (env['ARTRIE_PAGES_DEBUG'] ?? '') !== '';
  if (debug && error instanceof Error)
    await stderr.write(`${(error.stack ?? '').split('\n').map(oneLine).join('\n')}\n`);
  return exit;
}

function errorLine(error: unknown): string {
  if (error instanceof PageStoreError) return storeErrorLine(error);
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UsageError) return `${message}; see ${error.help}`;
  const { code, syscall } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  // The message of Node is just the name of the error, such as EAGAIN.
  if (code === 'ERR_WORKER_INIT_FAILED') return `a thread could not be started (${message}); use a smaller --jobs`;
  // The system refused something, such as one more file, or memory.
  const isOfSystem = syscall !== undefined || code === 'ERR_WORKER_OUT_OF_MEMORY';
  return isOfSystem ? message : `internal error: ${message}`;
}

function storeErrorLine({ code, message, detail }: PageStoreError): string {
  const { file, offset } = detail;
  const place = offset === undefined || message.includes(` byte ${offset}`) ? '' : ` (byte ${offset})`;
  // verify does not look at the nodes of a trie.
  const isDamaged = exitCodeOf(code) === EXIT.damaged && file !== undefined && !code.startsWith('TRIE_');
  const advice = isDamaged ? `; for details: artrie-pages verify ${shellPath(file)}` : lockAdvice(detail);
  return `${file === undefined ? '' : `${file}: `}${message}${place}${advice}`;
}

function lockAdvice({ holder }: ErrorDetail): string {
  if (holder === 'running') return '; wait for it with --lock-timeout SECONDS';
  // For an unknown holder, the message itself says what to check.
  return holder === 'gone' ? '; remove it with --break-lock' : '';
}

/** Explains why a file was not created: it exists, or its folder does not. */
export function withCreateAdvice(error: unknown): unknown {
  if (!(error instanceof PageStoreError)) return error;
  const { errno, file } = error.detail;
  const folder = file === undefined ? '.' : dirname(file);
  if (errno === 'ENOENT' && !existsSync(folder))
    return new PageStoreError(error.code, `the folder ${folder} does not exist`, error.detail, error);
  if (errno !== 'EEXIST') return error;
  return new PageStoreError(error.code, 'file already exists; use --force to replace it', error.detail, error);
}

/** Adds advice to an error with this code or errno. Other errors are returned unchanged. */
export function withAdvice(error: unknown, codeOrErrno: string, advice: string): unknown {
  if (!(error instanceof PageStoreError) || ![error.code, error.detail.errno].includes(codeOrErrno)) return error;
  return new PageStoreError(error.code, `${error.message}; ${advice}`, error.detail, error);
}

/** Adds the command that salvages a damaged file. @param outcome - what the failed command did */
export function withRecoverAdvice(error: unknown, file: string, outcome: string): unknown {
  if (!(error instanceof PageStoreError) || exitCodeOf(error.code) !== EXIT.damaged) return error;
  const { message, detail } = error;
  const place = detail.offset === undefined ? '' : `, at byte ${detail.offset}`;
  const advice = `${outcome}; to salvage what can be read: artrie-pages recover ${shellPath(file)} TARGET`;
  return new PageStoreError(error.code, `${message}${place}; ${advice}`, { ...detail, file }, error);
}

/** The note for a page that is skipped because its header was overwritten with zeros. */
export function lostPageNote(file: string, { message }: Problem): string {
  return `${file}: ${message}; its nodes are skipped; to repair it: artrie-pages repair --dry-run ${shellPath(file)}`;
}

/** The note for slots of which only the numbers are left. */
export function lostSlotsNote(file: string, block: number, lost: number, outcome: string): string {
  return `${file}: ${lost === 1 ? '1 node' : `${grouped(lost)} nodes`} of block ${block} ${lost === 1 ? 'is' : 'are'} lost, since before the file was made; ${outcome}`;
}

export function noDirectoryNote(file: string, block: number): string {
  return `${file}: block ${block} was never finalized: it has node bytes but no directory, so its nodes are skipped`;
}
