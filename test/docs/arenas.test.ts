import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { partsOf } from '../support/csv.ts';
import { runExamples } from '../support/examples.ts';
import { temporaryFolder } from '../support/files.ts';
import { specNodes } from '../support/spec-reader.ts';

test('docs/arenas.md shows a pool that workers share, a page by hand, and a CSV file, in code that runs', async () => {
  const folder = temporaryFolder();
  expect(await runExamples('docs/arenas.md', folder)).toEqual([
    '1:0 apple 1\n1:1 apple 2\n1:2 pear 1\n1:3 pear 2\n',
    '2:1 RADIX false\n',
    'users/16/id 1:0\nusers/16/name 1:1\nusers/17/id 1:2\nusers/17/name 1:3\n2 4 Ada\n',
  ]);
  const nodes = specNodes(readFileSync(join(folder, 'words.part')));
  expect(nodes.map(({ ref, bytes }) => `${ref} ${bytes.toString()}`)).toEqual([
    '2:0 adaptive',
    '2:1 RADIX',
    '2:2 trie',
  ]);
  expect(specNodes(readFileSync(join(folder, 'users.part'))).map(({ bytes }) => partsOf(bytes))).toEqual([
    ['users/16/id', '16'],
    ['users/16/name', 'Grace'],
    ['users/17/id', '17'],
    ['users/17/name', 'Ada'],
  ]);
});
