import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RULES } from '../../src/verify/rules.ts';
import { COMMANDS } from '../support/cli.ts';
import { loadCorpus } from '../support/corpus.ts';
import {
  examplesIn,
  FINDING_PAGES,
  INDEX,
  indexRow,
  pagePath,
  printedBy,
  ruleLine,
  severitiesOf,
} from '../support/damaged/finding-pages.ts';
import { writeCorpus } from '../support/damaged/goldens.ts';
import { temporaryFolder } from '../support/files.ts';

const HEADINGS = ['What it means', 'Causes', 'Example', 'What to do'];

const folder = temporaryFolder();
const before = process.cwd();

beforeAll(() => {
  writeCorpus(folder, loadCorpus());
  process.chdir(folder);
});
afterAll(() => process.chdir(before));

test('each rule has a page, and each page a rule', () => {
  const pages = readdirSync(FINDING_PAGES).filter((entry) => entry !== 'README.md');
  expect(pages.toSorted()).toEqual(RULES.map(({ id }) => `${id}.md`).toSorted());
});

test('the table of findings contains the rules in their order, with severities and summaries', () => {
  const rows = readFileSync(INDEX, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ['))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  expect(rows).toEqual(RULES.map(indexRow));
});

describe.each(RULES)('the page of $id', (rule) => {
  const page = readFileSync(pagePath(rule.id), 'utf8');

  test('has its four headings, and starts with the summary of the rule', () => {
    expect([...page.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)).toEqual(HEADINGS);
    expect(page.split('\n').slice(0, 3)).toEqual([`# ${rule.id}`, '', ruleLine(rule)]);
  });

  test('names the highest severity of the rule first', () => {
    expect(severitiesOf(rule.id)[0]).toBe(rule.severity);
  });

  test('shows the current output of verify, with a finding of the rule', async () => {
    const examples = examplesIn(page);
    expect(examples.length).toBeGreaterThan(0);
    for (const { command, printed } of examples) {
      expect(printed).toBe(await printedBy(command));
      expect(printed).toContain(` ${rule.id} at block `);
    }
  });

  test('names only existing commands', () => {
    const named = [...page.matchAll(/(?:^\$? ?|`|next: )artrie-pages ([a-z]+)/gm)].map(([, command = '']) => command);
    expect(named.filter((command) => !COMMANDS.some((each) => each === command))).toEqual([]);
  });
});
