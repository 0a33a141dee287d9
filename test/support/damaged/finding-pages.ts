import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { RULES } from '../../../src/verify/rules.ts';
import type { Rule } from '../../../src/verify/rules.ts';
import { runInProcess } from '../cli.ts';
import { loadCorpus } from '../corpus.ts';

/** The folder with a page for each rule. */
export const FINDING_PAGES: string = fileURLToPath(new URL('../../../docs/findings', import.meta.url));

export const INDEX: string = join(FINDING_PAGES, 'README.md');

export const pagePath = (id: string): string => join(FINDING_PAGES, `${id}.md`);

/** The severities of a rule's findings in the corpus, the highest first. */
export function severitiesOf(id: string): string[] {
  const lines = loadCorpus().flatMap((file) => file.expect.map((line) => line.split(' ')));
  return ['error', 'warning', 'info'].filter((severity) =>
    lines.some(([each, code]) => each === severity && code === id),
  );
}

/** The first line of a page. */
export function ruleLine({ id, summary }: Rule): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}. Severity: ${severitiesOf(id).join(' or ')}.`;
}

/** The row of a rule in the table of all rules. */
export function indexRow({ id, summary }: Rule): string[] {
  return [`[${id}](${id}.md)`, severitiesOf(id).join(' or '), summary];
}

/** An example in a page: a command and its output. */
export interface Example {
  readonly command: string;
  readonly printed: string;
}

const CONSOLE = /^```console\n\$ (.*)\n([\s\S]*?)^```$/gm;

export function examplesIn(page: string): Example[] {
  return [...page.matchAll(CONSOLE)].map(([, command = '', printed = '']) => ({ command, printed }));
}

/** The output of a command in the working directory. */
export async function printedBy(command: string): Promise<string> {
  const [tool, ...args] = command.split(' ');
  if (tool !== 'artrie-pages') throw new Error(`an example runs another tool: ${command}`);
  // On a busy machine verify would print its progress.
  const { stdout, stderr } = await runInProcess(args[0] === 'verify' ? [...args, '--quiet'] : args);
  return stdout.toString() + stderr;
}

/** Updates the first line and the examples of each page, and the table of all rules. The working directory must contain the corpus. */
export async function updateFindingPages(): Promise<void> {
  for (const rule of RULES) {
    let page = readFileSync(pagePath(rule.id), 'utf8');
    for (const { command } of examplesIn(page)) {
      const printed = await printedBy(command);
      page = page.replaceAll(CONSOLE, (block, each) =>
        each === command ? `\`\`\`console\n$ ${command}\n${printed}\`\`\`` : block,
      );
    }
    await writeMarkdown(pagePath(rule.id), page.replace(/^(# .*\n\n).*\n/, `$1${ruleLine(rule)}\n`));
  }
  const rows = [['finding', 'severity', 'what is wrong'], ['---', '---', '---'], ...RULES.map(indexRow)];
  const table = rows.map((row) => `| ${row.join(' | ')} |`).join('\n');
  const index = readFileSync(INDEX, 'utf8');
  await writeMarkdown(INDEX, index.replace(/(?:^\|.*\n)+/m, `${table}\n`));
}

async function writeMarkdown(path: string, text: string): Promise<void> {
  writeFileSync(path, await format(text, { ...(await resolveConfig(path)), filepath: path }));
}
