import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runInProcess } from '../../support/cli.ts';
import { smallFile } from '../../support/damage.ts';

const folder = mkdtempSync(join(tmpdir(), 'empty-names-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('an empty text for a path is told of as that', async () => {
  const file = await runInProcess(['verify', '']);
  expect({ exit: file.exit, stderr: file.stderr }).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('empty text'),
  });
  const output = await runInProcess(['verify', 'x.part', '--output', '']);
  expect({ exit: output.exit, stderr: output.stderr }).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('--output'),
  });
});

test('a file that is cut within its header is said to end there', async () => {
  const path = join(folder, 'cut.part');
  writeFileSync(path, (await smallFile('v1')).subarray(0, 40));
  expect((await runInProcess(['verify', path])).stderr).toContain(
    'it ends inside the file header, after 40 of 64 bytes',
  );
});
