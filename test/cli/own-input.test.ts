import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runInProcess } from '../support/cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'own-input-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('import does not overwrite its input, also through a link', async () => {
  const [lines, other] = [join(folder, 'l.jsonl'), join(folder, 'link')];
  writeFileSync(lines, '{"type":"node","text":"a"}\n');
  symlinkSync(lines, other);
  for (const path of [lines, other]) {
    const told = await runInProcess(['import', path, '--input', lines, '--force']);
    expect(told.exit).toBe(3);
    expect(told.stderr).toContain('this is the same file as');
  }
  expect(readFileSync(lines, 'utf8')).toBe('{"type":"node","text":"a"}\n');
});
