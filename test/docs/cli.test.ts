import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS, jsonLines, output, runInProcess } from '../support/cli.ts';
import {
  CLI_DOCUMENT,
  type DocumentedFields,
  fieldsIn,
  optionsIn,
  sectionOf,
  tableOf,
} from '../support/cli-document.ts';
import { fileWithHole, fileWithHostileDirectory } from '../support/damage.ts';
import { FIXTURES, goldenPath, temporaryFolder } from '../support/files.ts';
import { trieBytes } from '../support/tries.ts';

const BLOCK_BYTES = 262_144;
const COMMON = ['--json', '--quiet', '--no-color', '--help'];
const LOCK = ['--lock-timeout', '--break-lock'];

/** The commands in the order in which the tool lists them. */
async function listedCommands(): Promise<string[]> {
  const help = await output(['--help']);
  return [...help.matchAll(/^ {2}([a-z]+) .*<[a-z]+/gm)].map(([, name = '']) => name);
}

async function optionsOf(command: string): Promise<string[]> {
  const help = await output([command, '--help']);
  return [...help.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option = '']) => option);
}

describe('docs/cli.md has the commands of the tool', () => {
  test('each has a section, in their order, and a place in the list at the top', async () => {
    const commands = await listedCommands();
    expect(new Set(commands)).toEqual(new Set<string>(COMMANDS));
    const headings = [...CLI_DOCUMENT.matchAll(/^## ([a-z]+)$/gm)].map(([, name]) => name);
    expect(headings).toEqual(commands);
    const [, list = ''] = /^.*commands that exist: (.*?)\. /m.exec(CLI_DOCUMENT) ?? [];
    expect(list.split(', ')).toEqual(commands.map((name) => `[${name}](#${name})`));
  });

  test('each has a row in the README', async () => {
    const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');
    const rows = tableOf(readme, 'command').map(([command = '']) => command);
    const named = rows.flatMap((row) => [...row.matchAll(/`([a-z]+) /g)].map(([, name]) => name));
    expect(new Set(named)).toEqual(new Set<string>(COMMANDS));
  });

  test('those that take a lock are named where the lock is described', async () => {
    const [first = ''] = sectionOf("### The writer's lock").trim().split('\n');
    for (const command of COMMANDS) {
      const takesLock = (await optionsOf(command)).includes('--lock-timeout');
      expect({ command, isNamed: first.includes(`\`${command}\``) }).toEqual({ command, isNamed: takesLock });
    }
  });
});

describe.each(COMMANDS)('the section of %s', (command) => {
  const section = sectionOf(`## ${command}`);
  const [synopsis = ''] = section.trim().split('\n\n');

  test('has all its options in the line that shows how to call it, and no other ones', async () => {
    const options = (await optionsOf(command)).filter((option) => ![...COMMON, ...LOCK].includes(option));
    expect(optionsIn(synopsis).toSorted()).toEqual(options.toSorted());
  });

  test('tells of each in its table, where it has one', () => {
    const rows = tableOf(section, 'option');
    if (rows.length === 0) return;
    expect(optionsIn(rows.map(([option]) => option).join(' ')).toSorted()).toEqual(optionsIn(synopsis).toSorted());
  });
});

test('the options of all commands are those that each has', async () => {
  const rows = tableOf(sectionOf('## For all commands'), 'option');
  expect(optionsIn(rows.map(([option]) => option).join(' ')).toSorted()).toEqual(COMMON.toSorted());
  for (const command of COMMANDS) expect(await optionsOf(command)).toEqual(expect.arrayContaining(COMMON));
});

const section = sectionOf('## JSON Lines');

/** What docs/cli.md says of lines of one type of one command; of several rows, any may be meant. */
function documentedFields(command: string, type: string): DocumentedFields[] {
  if (type === 'summary') {
    const rows = tableOf(section, 'summary of').filter(([commands = '']) => commands.split(', ').includes(command));
    return rows.map(([, cell = '']) =>
      fieldsIn(`\`schema\`, \`command\`, ${cell.replaceAll(';', '; `schema`, `command`,')}`),
    );
  }
  if (command === 'export') {
    return tableOf(sectionOf('## export'), 'type')
      .filter(([name]) => name === `\`${type}\``)
      .map(([, cell = '']) => ({ ...fieldsIn(cell), required: [] }));
  }
  return tableOf(section, 'type')
    .filter(([types = '']) => types.split(', ').includes(`\`${type}\``))
    .filter(([, commands = '']) => commands.split(', ').some((each) => each.split(' ')[0] === command))
    .map(([, , cell = '']) => fieldsIn(cell));
}

function isAsDocumented(line: Record<string, unknown>, { names, required }: DocumentedFields): boolean {
  const { type: _, ...fields } = line;
  const keys = Object.keys(fields);
  const lacksNone = required.length === 0 || required.some((kind) => kind.every((name) => keys.includes(name)));
  return lacksNone && keys.every((key) => names.includes(key));
}

const folder = temporaryFolder();
const before = process.cwd();

beforeAll(async () => {
  process.chdir(folder);
  await output(['create', 'a.part']);
  await output(['append', 'a.part', 'one', 'two', 'three']);
  for (const name of ['v1', 'v2', 'v2-unfinalized', 'stale-header'] as const)
    copyFileSync(goldenPath(name), `${name}.part`);
  copyFileSync(join(FIXTURES, 'csv/users.csv'), 'users.csv');
  copyFileSync('a.part', 'cut.part');
  truncateSync('cut.part', 2 * BLOCK_BYTES - 8);
  const bytes = readFileSync('a.part');
  bytes[BLOCK_BYTES + 65] = 0; // in a node, and more than one bit
  writeFileSync('lost.part', bytes);
  const flipped = readFileSync('a.part');
  flipped[BLOCK_BYTES + 64] = flipped.readUInt8(BLOCK_BYTES + 64) ^ 1;
  writeFileSync('bit.part', flipped);
  writeFileSync('hostile.part', await fileWithHostileDirectory());
  writeFileSync('hole.part', await fileWithHole('v1'));
  writeFileSync('values.part', trieBytes('real', 'values-mixed'));
});
afterAll(() => process.chdir(before));

/** Command lines, and the types of lines that they print at least. */
const LINES: readonly (readonly [line: string, ...types: string[]])[] = [
  ['create new.part'],
  ['append new.part one two three four', 'node'],
  ['append new.part one --dedupe', 'node'],
  ['allocate new.part --count 2', 'block'],
  ['read new.part 1', 'node'],
  ['read new.part 1:0 --encoding hex', 'node'],
  ['update new.part 1:1 new'],
  ['free new.part 3', 'block'],
  ['finalize new.part', 'page'],
  ['finalize lost.part', 'page'],
  ['stat v2.part'],
  ['dump new.part', 'header', 'digest', 'commit', 'block'],
  ['dump cut.part', 'header', 'block'],
  ['dump v2.part --block 1', 'page', 'slot'],
  ['dump v1.part --slot 1:1', 'slot'],
  ['verify new.part none.part bit.part v1.part', 'file', 'finding', 'error'],
  ['verify stale-header.part v2-unfinalized.part cut.part', 'file', 'finding'],
  ['verify hostile.part hole.part', 'file', 'finding', 'omitted'],
  ['export new.part', 'file', 'page', 'node'],
  ['export v2.part --encoding base64', 'file', 'page', 'node'],
  ['import again.part --input new.jsonl'],
  ['import users.part --csv users.csv --table users --map users.map'],
  ['read users.part --key users/2/name --key users/1/id', 'node'],
  ['compact new.part small.part --page-format v2 --map new.map'],
  ['diff a.part new.part', 'header', 'block', 'changed', 'added'],
  ['diff new.part a.part', 'removed'],
  ['diff --nodes v1.part a.part', 'added', 'removed'],
  ['diff v1.part lost.part', 'damaged'],
  ['diff --brief a.part new.part'],
  ['recover bit.part bit.recovered', 'block', 'slots'],
  ['recover cut.part cut.recovered --map cut.map', 'block', 'slots'],
  ['repair --dry-run bit.part', 'change'],
  ['repair bit.part', 'change'],
  ['repair bit.part --undo bit.part.undo', 'change'],
  ['repair lost.part', 'left'],
  ['terms values.part --values hex --encoding hex', 'term'],
  ['terms values.part --prefix car', 'term'],
  ['get values.part car cart', 'term'],
];

describe('JSON Lines have the fields of docs/cli.md, and no other ones', () => {
  test.each(LINES)('%s', async (line, ...types) => {
    const [command = '', ...args] = line.split(' ');
    const { stdout } = await runInProcess([command, ...args, '--json']);
    if (line === 'export new.part') writeFileSync('new.jsonl', stdout);
    const printed = jsonLines(stdout);
    expect([...new Set(printed.map(({ type }) => type))]).toEqual(expect.arrayContaining([...types, 'summary']));
    for (const each of printed) {
      const documented = documentedFields(command, String(each['type']));
      const isDocumented = documented.some((fields) => isAsDocumented(each, fields));
      expect({ line: each, isDocumented }).toEqual({ line: each, isDocumented: true });
    }
  });

  test('a field that is missing, or that nobody has described, is noticed', () => {
    const [fields] = documentedFields('append', 'node') as [DocumentedFields];
    expect(isAsDocumented({ type: 'node', ref: '1:0' }, fields)).toBe(true);
    expect(isAsDocumented({ type: 'node' }, fields)).toBe(false);
    expect(isAsDocumented({ type: 'node', ref: '1:0', more: 1 }, fields)).toBe(false);
  });

  test('each command is among them', () => {
    expect(new Set(LINES.map(([line]) => line.split(' ')[0]))).toEqual(new Set<string>(COMMANDS));
  });
});
