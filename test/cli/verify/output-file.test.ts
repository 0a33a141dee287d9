import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { FileOutput } from '../../../src/cli/output.ts';
import { runInProcess } from '../../support/cli.ts';
import { smallFile } from '../../support/damage.ts';

const folder = mkdtempSync(join(tmpdir(), 'output-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the last report stays until the new one is complete', async () => {
  const path = join(folder, 'report');
  writeFileSync(path, 'last');
  const lost = await FileOutput.open(path);
  await lost.write('new');
  await lost.flush();
  expect(readFileSync(path, 'utf8')).toBe('last');
  await lost.abandon();
  expect(readFileSync(path, 'utf8')).toBe('last');
  const whole = await FileOutput.open(path);
  await whole.write('new');
  await whole.close();
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(readdirSync(folder)).toEqual(['report']);
});

test('a page file is no place for a report, and - is standard output', async () => {
  const [path, other] = [join(folder, 'a.part'), join(folder, 'b.part')];
  for (const each of [path, other]) writeFileSync(each, await smallFile('v1'));
  const told = await runInProcess(['verify', path, '--output', other]);
  expect(told.exit).toBe(3);
  expect(told.stderr).toContain('would overwrite a page file');
  expect(readFileSync(other)).toEqual(Buffer.from(await smallFile('v1')));
  const [dash, none] = [['--output', '-'], []].map((more) => runInProcess(['verify', path, '--json', ...more]));
  expect((await dash)!.stdout).toEqual((await none)!.stdout);
});
