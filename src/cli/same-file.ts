import { identitiesOf, identityOf } from '../disk/node-fs.ts';
import { PageStoreError } from '../errors.ts';
import type { Context, Input } from './context.ts';

// A command that reads what it writes would grow the file until the disk is full, or destroy its own input.

/**
 * Refuses input that the command would write to: the page file, its lock or journal, or a file that takes its output.
 * @param file - the page file that the command writes to
 * @throws {@link PageStoreError} `SAME_FILE`
 */
export async function assertInputIsNotOutput(input: Input, file: string, context: Context): Promise<void> {
  const { identity } = input;
  if (identity === undefined) return;
  const output = outputTo(identity, context);
  if (output !== undefined) throw sameFileError(file, `${output} goes to the file that is the input`);
  if ((await identitiesOf(file)).has(identity))
    throw sameFileError(file, 'the input is this file itself, or its lock or journal; use a copy as the input');
}

/** The error for a page file that standard output or error goes to; undefined if neither does. */
export async function outputConflict(file: string, context: Context): Promise<PageStoreError | undefined> {
  if (context.stdout.identity === undefined && context.stderr.identity === undefined) return undefined;
  const identity = await identityOf(file).catch(() => undefined); // opening it reports the error
  const output = outputTo(identity, context);
  return output === undefined ? undefined : sameFileError(file, `${output} goes to this file`);
}

function outputTo(identity: string | undefined, { stdout, stderr }: Context): string | undefined {
  if (identity === undefined) return undefined;
  if (identity === stdout.identity) return 'standard output';
  return identity === stderr.identity ? 'standard error' : undefined;
}

function sameFileError(file: string, message: string): PageStoreError {
  return new PageStoreError('SAME_FILE', message, { file });
}
