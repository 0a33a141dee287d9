import { Command, CommanderError } from 'commander';
import pkg from '../../package.json' with { type: 'json' };
import { PageStoreError } from '../errors.ts';
import { type Context, Interrupted } from './context.ts';
import { EXIT, exitCodeOf } from './exit-code.ts';
import { oneLine } from './one-line.ts';
import type { Runner } from './runner.ts';

/** Each command with its code, which is loaded when it is needed: starting the tool is to cost little. */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command, run: Runner) => void>>> = {
  create: async () => (await import('./commands/create.ts')).addCreate,
  allocate: async () => (await import('./commands/allocate.ts')).addAllocate,
  append: async () => (await import('./commands/append.ts')).addAppend,
  read: async () => (await import('./commands/read.ts')).addRead,
  update: async () => (await import('./commands/update.ts')).addUpdate,
  free: async () => (await import('./commands/free.ts')).addFree,
  finalize: async () => (await import('./commands/finalize.ts')).addFinalize,
  stat: async () => (await import('./commands/stat.ts')).addStat,
  dump: async () => (await import('./commands/dump.ts')).addDump,
  verify: async () => (await import('./commands/verify.ts')).addVerify,
};

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
  const program = await buildProgram(run, texts, args);
  try {
    await program.parseAsync(args, { from: 'user' }).catch(async (error: unknown) => {
      if (!(error instanceof CommanderError) || error.exitCode !== 0) throw error;
      await context.stdout.write(texts.out);
    });
    await context.stdout.flush();
  } catch (error) {
    exit = await explain(error, texts, context);
  }
  await flushAll(context);
  return exit;
}

async function buildProgram(
  run: Runner,
  texts: { out: string; err: string },
  args: readonly string[],
): Promise<Command> {
  const program = new Command('artrie-pages')
    .description('Create, fill, inspect and verify PART page files.')
    .version(pkg.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => (texts.out += text),
      writeErr: (text) => (texts.err += text),
    })
    .showSuggestionAfterError(false);
  const [name = ''] = args;
  if (name === '--version' || name === '-V') return program;
  // The other commands matter only to help, and to the error for a command that is none.
  const load = Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]] : Object.values(COMMANDS);
  for (const add of load) (await add?.())?.(program, run);
  return program;
}

/** Tells what went wrong, in one line, and gives the exit code. */
async function explain(error: unknown, texts: { out: string; err: string }, context: Context): Promise<number> {
  const { stderr, env } = context;
  if (error instanceof CommanderError) {
    if (error.code === 'commander.help') await stderr.write(texts.err);
    else
      await stderr.write(`artrie-pages: ${oneLine(error.message.replace(/^error: /, ''))}; see artrie-pages --help\n`);
    return EXIT.usage;
  }
  if (error instanceof Interrupted) return EXIT.interrupted;
  const debug = (env['ARTRIE_PAGES_DEBUG'] ?? '') !== '';
  if (error instanceof PageStoreError) {
    await stderr.write(`artrie-pages: ${errorLine(error)}\n`);
    if (debug) await stderr.write(`${error.stack ?? ''}\n`);
    return exitCodeOf(error.code);
  }
  const message = error instanceof Error ? error.message : String(error);
  await stderr.write(`artrie-pages: this is a fault of artrie-pages itself: ${oneLine(message)}\n`);
  if (debug && error instanceof Error) await stderr.write(`${error.stack ?? ''}\n`);
  return EXIT.io;
}

/** What is wrong, where, and what to do next. */
function errorLine({ code, message, detail }: PageStoreError): string {
  const { file, offset } = detail;
  const place = offset === undefined || message.includes(` byte ${offset}`) ? '' : ` (byte ${offset})`;
  const advice =
    exitCodeOf(code) === EXIT.damaged && file !== undefined ? `; artrie-pages verify ${file} says more` : '';
  return oneLine(`${file === undefined ? '' : `${file}: `}${message}${place}${advice}`);
}

/** Whatever could not be written any more, there is nobody left to tell. */
async function flushAll({ stdout, stderr }: Context): Promise<void> {
  for (const output of [stdout, stderr]) await output.flush().catch(() => undefined);
}
