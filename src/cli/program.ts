import { Command, CommanderError } from 'commander';
import pkg from '../../package.json' with { type: 'json' };
import type { Context } from './context.ts';
import { EXIT } from './errors.ts';
import { UsageError } from './errors.ts';
import type { Runner } from './context.ts';

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
  export: async () => (await import('./commands/export.ts')).addExport,
  import: async () => (await import('./commands/import.ts')).addImport,
  verify: async () => (await import('./commands/verify.ts')).addVerify,
  compact: async () => (await import('./commands/compact.ts')).addCompact,
  diff: async () => (await import('./commands/diff.ts')).addDiff,
  recover: async () => (await import('./commands/recover.ts')).addRecover,
  repair: async () => (await import('./commands/repair.ts')).addRepair,
};

/**
 * Runs a command line that commander takes apart.
 * @returns the exit code
 * @throws UsageError, and whatever the command throws
 */
export async function runProgram(args: readonly string[], context: Context): Promise<number> {
  let exit: number = EXIT.done;
  const run: Runner = async (body) => {
    exit = (await body(context)) ?? EXIT.done;
  };
  const texts = { out: '', err: '' };
  const program = await buildProgram(run, texts, args);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0 && error.code !== 'commander.help')
      throw new UsageError(
        error.message.replace(/^error: /, ''),
        args.find((arg) => Object.hasOwn(COMMANDS, arg)),
      );
    await context.stdout.write(texts.out);
    await context.stderr.write(texts.err);
    return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
  return exit;
}

async function buildProgram(
  run: Runner,
  texts: { out: string; err: string },
  args: readonly string[],
): Promise<Command> {
  const program = new Command('artrie-pages')
    .description('Create, fill, inspect, verify and recover PART page files.')
    .version(pkg.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => (texts.out += text),
      writeErr: (text) => (texts.err += text),
    })
    .showSuggestionAfterError(false);
  const [name = ''] = args;
  // The other commands matter only to help, and to the error for a command that is none.
  const load = Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]] : Object.values(COMMANDS);
  for (const add of load) (await add?.())?.(program, run);
  return program;
}
