import pkg from '../../package.json' with { type: 'json' };
import type { Context } from './context.ts';
import { explain } from './explain.ts';
import { EXIT } from './exit-code.ts';

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
