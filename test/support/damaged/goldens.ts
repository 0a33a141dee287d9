import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInProcess } from '../cli.ts';
import { DAMAGED, type DamagedFile } from '../corpus.ts';

/** The folder with the expected reports of verify. */
export const EXPECTED: string = join(DAMAGED, 'expected');

/** The machine-readable formats of a report, with the extensions of their files. */
export const FORMATS = { json: 'json', junit: 'junit.xml', sarif: 'sarif', github: 'github.txt' } as const;
export type Format = keyof typeof FORMATS;

/** Writes the damaged files to a folder: NAME.part, and NAME.part.journal for those that have a journal. */
export function writeCorpus(folder: string, corpus: readonly DamagedFile[]): void {
  mkdirSync(folder, { recursive: true });
  for (const file of corpus) {
    writeFileSync(join(folder, `${file.name}.part`), file.bytes());
    const journal = file.journalBytes();
    if (journal) writeFileSync(join(folder, `${file.name}.part.journal`), journal);
  }
}

/** A session in the working directory: the command, its output, its errors, its exit code. */
export async function session(args: readonly string[]): Promise<string> {
  // On a busy machine there would be progress between the lines.
  const { exit, stdout, stderr } = await runInProcess([...args, '--quiet']);
  return `$ artrie-pages ${args.join(' ')}\n${stdout.toString()}${stderr}$ echo $?\n${exit}\n`;
}

/** The text report of one file. */
export function textReport({ name, options = [] }: DamagedFile): Promise<string> {
  return session(['verify', ...options, `${name}.part`]);
}

/** Groups files that are verified with the same options, by the name of their reports. */
export function groups(corpus: readonly DamagedFile[]): Map<string, DamagedFile[]> {
  const byName = new Map<string, DamagedFile[]>();
  for (const file of corpus) {
    const name = file.options === undefined ? 'all' : file.options.map((option) => option.replace('--', '')).join('-');
    byName.set(name, [...(byName.get(name) ?? []), file]);
  }
  return byName;
}

/** The machine-readable report of several files. */
export async function groupReport(format: Format, files: readonly DamagedFile[]): Promise<string> {
  const options = files[0]?.options ?? [];
  const names = files.map(({ name }) => `${name}.part`);
  const { stdout } = await runInProcess(['verify', '--format', format, ...options, ...names]);
  // The version of the tool changes with each release.
  return stdout
    .toString()
    .replaceAll(/"(version|semanticVersion)":"\d+\.\d+\.\d+[^"]*"(?=,"(?:semanticV|informationU))/g, '"$1":"VERSION"');
}

/** The path of the report of a file, or of a group in one of the formats. */
export function expectedPath(name: string, format?: Format): string {
  return join(EXPECTED, format === undefined ? `${name}.txt` : `${name}.${FORMATS[format]}`);
}

/** Writes all current reports. The working directory must contain the files. */
export async function writeExpected(corpus: readonly DamagedFile[]): Promise<void> {
  mkdirSync(EXPECTED, { recursive: true });
  for (const file of corpus) writeFileSync(expectedPath(file.name), await textReport(file));
  for (const [name, files] of groups(corpus)) {
    for (const format of Object.keys(FORMATS) as Format[]) {
      writeFileSync(expectedPath(name, format), await groupReport(format, files));
    }
  }
}

/** The first line that differs from the expected report, with the lines around it; both empty if there is none. */
export function firstDifference(report: string, path: string): { is: string[]; expected: string[] } {
  const [is, expected] = [report.split('\n'), readFileSync(path, 'utf8').split('\n')];
  const at = is.findIndex((line, index) => line !== expected[index]);
  if (at < 0 && is.length === expected.length) return { is: [], expected: [] };
  const [from, to] = [Math.max(0, at - 2), (at < 0 ? is.length : at) + 3];
  return { is: is.slice(from, to), expected: expected.slice(from, to) };
}
