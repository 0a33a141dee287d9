import type { Context } from './context.ts';

/** Runs the body of a command. What it returns is the exit code, 0 where it returns nothing. */
export type Runner = (body: (context: Context) => Promise<number | void>) => Promise<void>;
