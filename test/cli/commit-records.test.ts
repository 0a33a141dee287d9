import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { jsonLines, output, runInProcess } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';

const folder = temporaryFolder();

/** A file whose last commit has been acknowledged, and whose headers have not been written since. */
async function pendingFile(name: string): Promise<string> {
  const file = new RecordingBlockFile();
  const store = await PageStore.create(file);
  await store.append(text('first'));
  file.failOn = (step) => (step.kind === 'write' && step.position === fileOffset(1) ? 'EIO' : undefined);
  await store.append(text('second'));
  const path = join(folder, name);
  writeFileSync(path, file.bytes);
  return path;
}

test('a node that only a commit record describes is read, verified and counted, and the file is not written to', async () => {
  const path = await pendingFile('pending');
  expect(await output(['read', path, '1:1'])).toBe('second');
  expect(await output(['verify', path])).toContain('ok (0 errors, 0 warnings, 0 info); 2 blocks, 1 page, 2 nodes');
  expect(await output(['stat', path])).toMatch(/nodes +2\n/);
  expect(await output(['dump', path])).toMatch(/8192 +commit record +1 +block 1; superseded/);
  expect(await output(['dump', path])).toMatch(/4096 +commit record +2 +block 1; pending: .*next writer/);
  const commits = jsonLines(await output(['dump', path, '--json'])).filter(({ type }) => type === 'commit');
  expect(commits).toEqual([
    { type: 'commit', sequence: '1', block: 1, state: 'superseded' },
    { type: 'commit', sequence: '2', block: 1, state: 'pending' },
  ]);
});

test('the next writer completes the commit, and appends after it', async () => {
  const path = await pendingFile('finished');
  expect(await output(['append', path, 'third'])).toBe('1:2\n');
  expect(await output(['read', path, '--all'])).toBe('first\nsecond\nthird\n');
  expect(await output(['dump', path])).toMatch(/commit record +1 +block 1; checkpointed/);
  expect((await runInProcess(['verify', path])).exit).toBe(0);
});

test('a record whose page is damaged is void, and the damage is found', async () => {
  const path = await pendingFile('void');
  const { stdout } = await runInProcess(['dump', path, '--block', '1', '--json']);
  const first = jsonLines(stdout).find(({ type }) => type === 'slot');
  const bytes = readFileSync(path);
  bytes[fileOffset(1, Number(first!['offset']))]! ^= 1;
  writeFileSync(path, bytes);
  expect(await output(['dump', path])).toMatch(/commit record +2 +block 1; void/);
  const verified = await runInProcess(['verify', path]);
  expect(verified.exit).toBe(1);
  expect(verified.stdout.toString()).toContain('PAGE_CHECKSUM at block 1');
});
