import { Command, CommanderError } from 'commander';
import pkg from '../../package.json' with { type: 'json' };
import { PageStoreError } from '../errors.ts';
import { addAllocate } from './commands/allocate.ts';
import { addAppend } from './commands/append.ts';
import { addCreate } from './commands/create.ts';
import { addDump } from './commands/dump.ts';
import { addFinalize } from './commands/finalize.ts';
import { addFree } from './commands/free.ts';
import { addRead } from './commands/read.ts';
import { addStat } from './commands/stat.ts';
import { addUpdate } from './commands/update.ts';
import { addVerify } from './commands/verify.ts';
import { type Context, Interrupted } from './context.ts';
import { EXIT, exitCodeOf } from './exit-code.ts';
import type { Runner } from './runner.ts';

const COMMANDS = [
  addCreate,
  addAllocate,
  addAppend,
  addRead,
  addUpdate,
  addFree,
  addFinalize,
  addStat,
  addDump,
  addVerify,
] as const;

/**
 * Runs one command line.
 * @param args - without the program and its path
 * @returns the exit code
 */
export async function main(args: readonly string[], context: Context): Promise<number> {
  let exit: number = EXIT.done;
  const run: Runner = async (body) => {
    exit = (await body(context)) ?? EXIT.done;
  };
  const texts: { out: string; err: string } = { out: '', err: '' };
  const program = buildProgram(run, texts);
  try {
    await program.parseAsync(args, { from: 'user' });
    await context.stdout.flush();
  } catch (error) {
    exit = await explain(error, texts, context);
  }
  await flushAll(context);
  return exit;
}

function buildProgram(run: Runner, texts: { out: string; err: string }): Command {
  const program = new Command('artrie-pages')
    .description('Create, fill, inspect and verify PART page files.')
    .version(pkg.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => (texts.out += text),
      writeErr: (text) => (texts.err += text),
    })
    .showSuggestionAfterError(false);
  for (const add of COMMANDS) add(program, run);
  return program;
}

/** Tells what went wrong, in one line, and gives the exit code. */
async function explain(error: unknown, texts: { out: string; err: string }, context: Context): Promise<number> {
  const { stdout, stderr, env } = context;
  if (error instanceof CommanderError) {
    await stdout.write(texts.out);
    if (error.exitCode === 0) return EXIT.done;
    if (error.code === 'commander.help') await stderr.write(texts.err);
    else await stderr.write(`artrie-pages: ${error.message.replace(/^error: /, '')}; see artrie-pages --help\n`);
    return EXIT.usage;
  }
  if (error instanceof Interrupted) return EXIT.interrupted;
  const debug = (env['ARTRIE_PAGES_DEBUG'] ?? '') !== '';
  if (error instanceof PageStoreError) {
    const file = error.detail.file === undefined ? '' : `${error.detail.file}: `;
    await stderr.write(`artrie-pages: ${file}${error.message}\n`);
    if (debug) await stderr.write(`${error.stack ?? ''}\n`);
    return exitCodeOf(error.code);
  }
  const message = error instanceof Error ? error.message : String(error);
  await stderr.write(`artrie-pages: this is a fault of artrie-pages itself: ${message}\n`);
  if (debug && error instanceof Error) await stderr.write(`${error.stack ?? ''}\n`);
  return EXIT.io;
}

/** Whatever could not be written any more, there is nobody left to tell. */
async function flushAll({ stdout, stderr }: Context): Promise<void> {
  for (const output of [stdout, stderr]) await output.flush().catch(() => undefined);
}
