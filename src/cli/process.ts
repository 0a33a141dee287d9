import { fstatSync } from 'node:fs';
import { type Context, Interrupted } from './context.ts';
import { main } from './main.ts';
import { StreamOutput } from './stream-output.ts';

/** Runs the command line of this process, and ends it. */
export async function runProcess(): Promise<never> {
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => interruption.abort(new Interrupted(signal)));
  }
  const context: Context = {
    stdin: standardInput(),
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

/** Standard input, opened when it is first read: a command that does not read it must not touch it. */
async function* standardInput(): AsyncGenerator<Uint8Array> {
  yield* process.stdin as AsyncIterable<Uint8Array>;
}

function standardInputBytes(): number | undefined {
  try {
    const stats = fstatSync(0);
    return stats.isFile() ? stats.size : undefined;
  } catch {
    return undefined; // closed: reading it will say so
  }
}
