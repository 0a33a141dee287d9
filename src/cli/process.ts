import pkg from '../../package.json' with { type: 'json' };
import { StandardInput, standardInputBytes } from './byte-source.ts';
import { type Context, Interrupted } from './context.ts';
import { EXIT, explain } from './errors.ts';
import { StreamOutput } from './output.ts';

/**
 * Runs one command line.
 * @param args - without the program and its path
 * @returns the exit code
 */
export async function main(args: readonly string[], context: Context): Promise<number> {
  let exit: number;
  try {
    exit = await runCommandLine(args, context);
    await context.stdout.flush();
  } catch (error) {
    exit = await explain(error, context);
  }
  // Whatever could not be written any more, there is nobody left to tell.
  for (const output of [context.stdout, context.stderr]) await output.flush().catch(() => undefined);
  return exit;
}

async function runCommandLine(args: readonly string[], context: Context): Promise<number> {
  const [first] = args;
  if (args.length === 1 && (first === '--version' || first === '-V')) {
    await context.stdout.write(`${pkg.version}\n`);
    return EXIT.done;
  }
  // Loaded when it is needed: whoever asks for the version waits for no more code than this.
  const { runProgram } = await import('./program.ts');
  return runProgram(args, context);
}

/** A signal that comes so soon after another is the same one: npx and timeout pass on what the terminal has sent already. */
const SAME_SIGNAL_MS = 500;

/** Runs the command line of this process, and ends it. */
export async function runProcess(): Promise<never> {
  const interruption = new AbortController();
  let interruptedAt = 0;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // Who asks twice does not want to wait for the commit under way; what was acknowledged stays.
      if (interruption.signal.aborted) {
        if (performance.now() - interruptedAt > SAME_SIGNAL_MS) process.exit(EXIT.interrupted);
        return;
      }
      interruptedAt = performance.now();
      interruption.abort(new Interrupted(signal));
    });
  }
  const context: Context = {
    stdin: new StandardInput(),
    get stdinBytes() {
      return standardInputBytes();
    },
    stdout: new StreamOutput(process.stdout, 'standard output'),
    stderr: new StreamOutput(process.stderr, 'standard error'),
    signal: interruption.signal,
    env: process.env,
  };
  const exit = await main(process.argv.slice(2), context);
  // Not by itself: a read of standard input that nobody waits for any more would keep the process alive.
  process.exit(exit);
}
