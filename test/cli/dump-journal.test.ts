import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runInProcess } from '../support/cli.ts';
import { loadCorpus } from '../support/corpus.ts';
import { temporaryFolder } from '../support/files.ts';

const folder = temporaryFolder();

test.each([
  ['update-cut-off', 'contains block 1 as it was before an update', { block: 1 }],
  ['repair-cut-off', 'contains 2 changes of a repair, in 2 blocks', { patches: 2, blocks: [1, 2] }],
])('dump shows the journal of %s', async (name, text, json) => {
  const file = loadCorpus().find((each) => each.name === name);
  const path = join(folder, `${name}.part`);
  writeFileSync(path, file?.bytes() ?? '');
  writeFileSync(`${path}.journal`, file?.journalBytes() ?? '');
  const shown = await runInProcess(['dump', path]);
  expect(shown.stdout.toString()).toContain(`the journal ${text}\n`);
  const lines = (await runInProcess(['dump', path, '--json'])).stdout.toString().trim().split('\n');
  const journal = lines.map((line) => JSON.parse(line) as { type: string }).filter(({ type }) => type === 'journal');
  expect(journal).toEqual([{ type: 'journal', ...json }]);
});
