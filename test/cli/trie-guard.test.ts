import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { output, runInProcess } from '../support/cli.ts';
import { expectSameBytes, temporaryFolder } from '../support/files.ts';
import { trieBytes } from '../support/tries.ts';

const folder = temporaryFolder();

function trieFile(name: string): string {
  const path = join(folder, `${name}.part`);
  writeFileSync(path, trieBytes('real', 'five'));
  return path;
}

const REFUSED: [string, string[], string][] = [
  ['allocate', [], 'with another block libdictenstein reads other terms'],
  ['append', ['node'], 'nodes that are appended may need a block'],
  ['append', [], 'nodes that are appended may need a block'],
  ['update', ['1:0', 'x'.repeat(20)], 'a node that is replaced may be one of the trie'],
  ['free', ['1'], 'blocks of such a file cannot be freed'],
];

describe.each(REFUSED)('%s %j of a file with a trie', (command, args, reason) => {
  const path = trieFile(`${command}${args.length}`);

  test('is refused with exit 2, says what to do instead, and writes nothing', async () => {
    const { exit, stdout, stderr } = await runInProcess([command, path, ...args]);
    expect([exit, stdout.toString()]).toEqual([2, '']);
    expect(stderr).toMatch(/^artrie-pages: [^\n]*; --force does it all the same[^\n]*\n$/);
    expect(stderr).toContain(reason);
    expectSameBytes(readFileSync(path), trieBytes('real', 'five'));
  });

  test('is done with --force', async () => {
    expect(await runInProcess([command, path, ...args, '--force'])).toMatchObject({ exit: 0, stderr: '' });
  });
});

test('finalize and import over a file with a trie are done', async () => {
  const path = trieFile('other');
  expect(await output(['finalize', path])).toContain('block 1: finalized, 12 nodes');
  const lines = await output(['export', path]);
  const input = join(folder, 'lines.jsonl');
  writeFileSync(input, lines);
  const { exit } = await runInProcess(['import', path, '--replace', '--input', input]);
  expect(exit).toBe(0);
  expect(await output(['export', path])).toContain('"rootPointer":"16777217"');
});
