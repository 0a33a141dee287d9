import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The description of the command line. */
export const CLI_DOCUMENT: string = readFileSync(
  join(fileURLToPath(new URL('../../', import.meta.url)), 'docs/cli.md'),
  'utf8',
);

/** The text below a heading, up to the next one of its level or above. */
export function sectionOf(heading: string, document: string = CLI_DOCUMENT): string {
  const [hashes = ''] = heading.split(' ');
  const begin = document.indexOf(`\n${heading}\n`);
  if (begin < 0) throw new Error(`docs/cli.md should have a section '${heading}'`);
  const rest = document.slice(begin + heading.length + 2);
  const end = rest.search(new RegExp(`^#{1,${hashes.length}} `, 'm'));
  return end < 0 ? rest : rest.slice(0, end);
}

/** The rows of the table whose first cell of the head is `head`, without that; each a list of cells. */
export function tableOf(section: string, head: string): string[][] {
  const lines = section.split('\n');
  const from = lines.findIndex((line) => cellsOf(line)[0] === head);
  if (from < 0) return [];
  const rows = lines.slice(from + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, end < 0 ? rows.length : end).map(cellsOf);
}

/** Cells stand between bars; a bar that belongs to a cell has a backslash before it. */
function cellsOf(line: string): string[] {
  return line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/** The long options that a text names. */
export function optionsIn(text: string): string[] {
  return [...new Set(text.match(/--[a-z][a-z-]*/g))];
}

/** What a cell of fields says: each name, and whether a line may lack it. */
export interface DocumentedFields {
  readonly names: readonly string[];
  /** Those that no line lacks; of commands that print several kinds of lines, those of each kind. */
  readonly required: readonly (readonly string[])[];
}

/** Takes a cell apart: names stand in backticks, `?` follows those that may lack, brackets say more, `;` begins another kind. */
export function fieldsIn(cell: string): DocumentedFields {
  const kinds = withoutBrackets(cell)
    .split(';')
    .map((kind) => [...kind.matchAll(/`([a-zA-Z]\w*)`(\??)/g)]);
  return {
    names: kinds.flat().map(([, name = '']) => name),
    required: kinds.map((fields) => fields.filter(([, , mark]) => mark === '').map(([, name = '']) => name)),
  };
}

function withoutBrackets(text: string): string {
  const inner = /\([^()]*\)/g;
  const less = text.replace(inner, '');
  return less === text ? text : withoutBrackets(less);
}
