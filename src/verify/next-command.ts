import type { Problem } from '../format/invariants.ts';

/** The command line that says more about a problem, or mends it, as a shell takes it. */
export function nextCommand({ block = 0 }: Problem, file: string): string {
  return `artrie-pages dump ${shellWord(file)} --block ${block}`;
}

/** A word as a POSIX shell takes it: quoted only where it has to be. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./][\w@%+=:,./-]*$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
