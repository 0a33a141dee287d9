import { type ErrorDetail, PageStoreError } from '../errors.ts';
import { type Context, Interrupted } from './context.ts';
import { EXIT, exitCodeOf } from './exit-code.ts';
import { oneLine } from './one-line.ts';

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
