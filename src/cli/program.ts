import type { Command } from 'commander';
import pkg from '../../package.json' with { type: 'json' };
import { setNoteListener } from '../disk/node-notes.ts';
import type { AddCommand } from './command.ts';
import { type Context, Interrupted } from './context.ts';
import { EXIT, exitCodeFor, reportError, UsageError } from './errors.ts';
import { assertUtf8Arguments } from './raw-arguments.ts';
import { outputConflict } from './same-file.ts';
import { standardOutput } from './standard-output.ts';

/** The commands in the order of the help. Each is loaded when it is needed, so that the program starts fast. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
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
  terms: async () => (await import('./commands/terms.ts')).addTerms,
  get: async () => (await import('./commands/get.ts')).addGet,
};

/** Runs one command line, and returns its exit code. @param args - what follows the name of the program */
export async function main(args: readonly string[], context: Context): Promise<number> {
  let exit: number;
  // A note that cannot be written shows as the failure of standard error.
  setNoteListener((note) => void context.stderr.write(`artrie-pages: note: ${note}\n`).catch(() => undefined));
  try {
    exit = await runCommandLine(args, context);
    await context.stdout.flush();
  } catch (error) {
    exit = await reportError(error, context).catch(() => exitCodeFor(error));
  }
  const { stdout, stderr } = context;
  const isReported = stdout.failure !== undefined;
  await stdout.end();
  const { failure } = stdout;
  if (failure && !isReported) await reportError(failure.error, context).catch(() => undefined);
  await stderr.end();
  // The code of another error says more.
  const isCut = (failure ?? stderr.failure) !== undefined;
  return isCut && (exit === EXIT.done || exit === EXIT.findings) ? EXIT.io : exit;
}

async function runCommandLine(args: readonly string[], context: Context): Promise<number> {
  assertUtf8Arguments(args);
  const [name = ''] = args;
  if (args.length === 1 && (name === '--version' || name === '-V')) {
    await context.stdout.write(`${pkg.version}\n`);
    return EXIT.done;
  }
  const [{ Command, CommanderError }, { CommandRun }, { addCommonOptions }] = await Promise.all([
    import('commander'),
    import('./command.ts'),
    import('./options.ts'),
  ]);
  const texts = { out: '', err: '' };
  const program = new Command('artrie-pages')
    .description('Create, fill, inspect, check, repair and salvage PART page files.')
    .version(pkg.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => (texts.out += text),
      writeErr: (text) => (texts.err += text),
    })
    .showSuggestionAfterError(false)
    .hook('preAction', (_, command) => assertFiles(command, context));
  let exit: number = EXIT.done;
  // Without a known command, all are needed for the help, or for the error.
  for (const each of Object.hasOwn(COMMANDS, name) ? [name] : Object.keys(COMMANDS)) {
    const add = await COMMANDS[each]?.();
    const command = program.command(each);
    add?.(command, async (options, body) => {
      exit = (await body(new CommandRun(each, context, options))) ?? EXIT.done;
    });
    addCommonOptions(command);
  }
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0 && error.code !== 'commander.help')
      throw new UsageError(
        usageMessage(error.message),
        args.find((arg) => Object.hasOwn(COMMANDS, arg)),
      );
    if (error.exitCode !== 0 && name === 'help') throw new UsageError(`unknown command '${args[1] ?? ''}'`, undefined);
    await context.stdout.write(texts.out);
    await context.stderr.write(texts.err);
    return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
  return exit;
}

const FILE_ARGUMENTS: ReadonlySet<string> = new Set(['file', 'source', 'target', 'a', 'b']);

/** @throws UsageError if the name of a file is empty; {@link PageStoreError} `SAME_FILE` if the output goes to a file */
async function assertFiles(command: Command, context: Context): Promise<void> {
  for (const [index, argument] of command.registeredArguments.entries()) {
    if (!FILE_ARGUMENTS.has(argument.name())) continue;
    const value: unknown = command.processedArgs[index];
    if ([value].flat().includes(''))
      throw new UsageError(`${argument.name().toUpperCase()} must not be empty`, command.name());
    // A command for many files goes on with the others.
    const conflict = typeof value === 'string' ? await outputConflict(value, context) : undefined;
    if (conflict) throw conflict;
  }
}

/** The message of an error of commander, in the words of the other errors. */
function usageMessage(message: string): string {
  return message
    .replace(/^error: /, '')
    .replace(/^option '(?:-\w, )?(--[\w-]+)[^']*' argument missing$/, '$1 needs a value')
    .replace(/^option '(--[\w-]+)[^']*' argument ('.*') is invalid\. /s, '$1: $2 ')
    .replace(/^command-argument value ('.*') is invalid for argument '\w+'\. /s, '$1 ')
    .replace(/' Allowed choices are (?=[^']*$)/, "' is not one of ")
    .replace(/' It must be (?=[^']*$)/, "' is not ")
    .replace(/\.$/, '');
}

/** A signal within this time is the same one: npx and timeout forward what the terminal has sent already. */
const SAME_SIGNAL_MS = 500;

export async function runProcess(): Promise<never> {
  const interruption = new AbortController();
  let interruptedAt = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
    process.on(signal, () => {
      if (interruption.signal.aborted) {
        // The second signal does not wait for the current commit; acknowledged nodes are durable anyway.
        if (performance.now() - interruptedAt > SAME_SIGNAL_MS) process.exit(EXIT.interrupted);
        return;
      }
      interruptedAt = performance.now();
      interruption.abort(new Interrupted(signal));
    });
  }
  const context: Context = {
    openStdin: async () => (await import('./input.ts')).standardInput(),
    stdout: await standardOutput(1, 'standard output', () => process.stdout),
    stderr: await standardOutput(2, 'standard error', () => process.stderr),
    signal: interruption.signal,
    env: process.env,
  };
  const exit = await main(process.argv.slice(2), context);
  // A pending read of standard input would keep the process alive.
  process.exit(exit);
}
