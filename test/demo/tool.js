// Commands as one would type them, for the demonstration of `npm start`.

import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TOOL = fileURLToPath(new URL('../../bin/artrie-pages.js', import.meta.url));

/** A list of English words, one a line. */
export const WORDS = fileURLToPath(new URL('../../fixtures/words/american-english.txt', import.meta.url));

/** Where the demonstration makes its files, and where its commands run. */
export const folder = mkdtempSync(join(tmpdir(), 'artrie-pages-demo-'));

/** Shows a command, runs it, and returns what it printed. It throws where the command does not exit 0. */
export function run(...args) {
  return runTo(0, ...args);
}

/** The same for a command that has to end with another exit code. */
export function runTo(exit, ...args) {
  console.log(`\n$ artrie-pages ${args.join(' ').replace(WORDS, 'fixtures/words/american-english.txt')}`);
  const { status, stdout } = spawnSync(process.execPath, [TOOL, ...args], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== exit) throw new Error(`${args[0]} should exit ${exit}, not ${status}`);
  return stdout;
}

/** Prints the first lines of an output, and how many more there are. */
export function show(output, most) {
  const lines = output.trimEnd().split('\n');
  console.log(lines.slice(0, most).join('\n'));
  if (lines.length > most) console.log(`... and ${lines.length - most} more lines`);
}
