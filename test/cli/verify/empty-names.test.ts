import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runInProcess } from '../../support/cli.ts';
import { smallFile } from '../../support/damage.ts';

const folder = mkdtempSync(join(tmpdir(), 'empty-names-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('an empty path is refused', async () => {
  const file = await runInProcess(['verify', '']);
  expect({ exit: file.exit, stderr: file.stderr }).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('FILE must not be empty'),
  });
  const output = await runInProcess(['verify', 'x.part', '--output', '']);
  expect({ exit: output.exit, stderr: output.stderr }).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('--output must not be empty'),
  });
});

test('a file that ends inside its header is reported as such', async () => {
  const path = join(folder, 'cut.part');
  writeFileSync(path, (await smallFile('v1')).subarray(0, 40));
  expect((await runInProcess(['verify', path])).stderr).toContain(
    'it ends inside the file header, after 40 of 64 bytes',
  );
});
