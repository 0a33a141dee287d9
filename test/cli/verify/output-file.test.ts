import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { OutputFile } from '../../../src/cli/output-file.ts';
import { runInProcess } from '../../support/cli.ts';
import { smallFile } from '../../support/damage.ts';

const folder = mkdtempSync(join(tmpdir(), 'output-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a report replaces the previous one only when it is complete', async () => {
  const path = join(folder, 'report');
  writeFileSync(path, 'last');
  const incomplete = await OutputFile.forReport(path);
  await incomplete.write('new');
  await incomplete.flush();
  expect(readFileSync(path, 'utf8')).toBe('last');
  await incomplete.discard();
  expect(readFileSync(path, 'utf8')).toBe('last');
  const complete = await OutputFile.forReport(path);
  await complete.write('new');
  await complete.complete();
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(readdirSync(folder)).toEqual(['report']);
});

test('a report is not written over a page file, and --output - means standard output', async () => {
  const [path, other] = [join(folder, 'a.part'), join(folder, 'b.part')];
  const bytes = await smallFile('v1');
  for (const each of [path, other]) writeFileSync(each, bytes);
  const told = await runInProcess(['verify', path, '--output', other]);
  expect(told.exit).toBe(3);
  expect(told.stderr).toContain('would overwrite a page file');
  expect(readFileSync(other).equals(bytes)).toBe(true);
  const [dash, none] = [['--output', '-'], []].map((more) => runInProcess(['verify', path, '--json', ...more]));
  expect((await dash)!.stdout).toEqual((await none)!.stdout);
});
