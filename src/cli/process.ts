import { type Context, Interrupted } from './context.ts';
import { EXIT } from './exit-code.ts';
import { main } from './main.ts';
import { StandardInput, standardInputBytes } from './stdin.ts';
import { StreamOutput } from './stream-output.ts';

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
