import { oneLine } from '../bytes/quoting.ts';
import { type ErrorCode, type ErrorDetail, type OperationCode, PageStoreError } from '../errors.ts';
import { type Context, Interrupted } from './context.ts';

/** Exit codes, fixed for scripts. See docs/cli.md. */
export const EXIT = { done: 0, findings: 1, usage: 2, io: 3, locked: 4, damaged: 5, interrupted: 130 } as const;

/** What the shell is told of a request that could not be carried out. */
const EXIT_BY_OPERATION: Readonly<Record<OperationCode, number>> = {
  NOT_A_PAGE_FILE: EXIT.io,
  FILE_EXISTS: EXIT.io,
  FILE_FULL: EXIT.io,
  FILE_CLOSED: EXIT.io,
  FILE_LOCKED: EXIT.locked,
  FILE_READ_ONLY: EXIT.io,
  FILE_CHANGED: EXIT.locked,
  FILE_HAS_TRIE: EXIT.usage,
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
  STALE_KEY: EXIT.usage,
  STALE_EPOCH: EXIT.usage,
  EPOCH_PINNED: EXIT.usage,
  ARENA_FULL: EXIT.io,
  SHARDS_TAKEN: EXIT.usage,
  NOT_AN_UNDO_FILE: EXIT.io,
  UNDO_MISMATCH: EXIT.io,
};

/** The exit code of an error: every code that is not of a request is of a damaged file. */
export function exitCodeOf(code: ErrorCode): number {
  return code in EXIT_BY_OPERATION ? EXIT_BY_OPERATION[code as OperationCode] : EXIT.damaged;
}

/** A command line that cannot be carried out as it is written. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  /** The command line that says how to write it. */
  readonly help: string;

  constructor(message: string, command: string | undefined) {
    super(message);
    this.help = `artrie-pages ${command === undefined ? '' : `${command} `}--help`;
  }
}

/** Tells what went wrong, in one line, and gives the exit code. */
export async function explain(error: unknown, { stderr, env }: Context): Promise<number> {
  if (error instanceof Interrupted) return EXIT.interrupted;
  const [line, exit] = lineAndExit(error);
  await stderr.write(`artrie-pages: ${oneLine(line)}\n`);
  const debug = (env['ARTRIE_PAGES_DEBUG'] ?? '') !== '';
  if (debug && error instanceof Error) await stderr.write(`${error.stack ?? ''}\n`);
  return exit;
}

function lineAndExit(error: unknown): [string, number] {
  if (error instanceof PageStoreError) return [storeErrorLine(error), exitCodeOf(error.code)];
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UsageError) return [`${message}; see ${error.help}`, EXIT.usage];
  return [`this is a fault of artrie-pages itself: ${message}`, EXIT.io];
}

/** What is wrong, where, and what to do next. */
function storeErrorLine({ code, message, detail }: PageStoreError): string {
  const { file, offset } = detail;
  const place = offset === undefined || message.includes(` byte ${offset}`) ? '' : ` (byte ${offset})`;
  const damaged = exitCodeOf(code) === EXIT.damaged && file !== undefined;
  const advice = damaged ? `; artrie-pages verify ${file} says more` : lockAdvice(detail);
  return `${file === undefined ? '' : `${file}: `}${message}${place}${advice}`;
}

function lockAdvice({ holder }: ErrorDetail): string {
  if (holder === 'running') return '; wait for it with --lock-timeout SECONDS';
  // Of a holder of which nothing is known, the message says itself what a person has to look at.
  return holder === 'gone' ? '; remove it with --break-lock' : '';
}
