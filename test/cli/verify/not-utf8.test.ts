import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runInProcess } from '../../support/cli.ts';
import { smallFile } from '../../support/damage.ts';

const folder = mkdtempSync(join(tmpdir(), 'not-utf8-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.runIf(process.platform === 'linux')(
  'a file whose name is not UTF-8 is reported, and not confused with another file',
  async () => {
    const bytes = await smallFile('v1');
    const inFolder = (name: Buffer): Buffer => Buffer.concat([Buffer.from(`${folder}/`), name]);
    writeFileSync(inFolder(Buffer.from('inv\xff\xfe.part', 'latin1')), bytes);
    const result = await runInProcess(['verify', join(folder, '*.part')]);
    expect(result.exit).toBe(3);
    expect(result.stderr).toContain('the file name is not valid UTF-8, so the file cannot be opened; rename it');
    // A file with real replacement characters in its name is checked.
    writeFileSync(join(folder, 'inv\u{fffd}\u{fffd}.part'), bytes);
    const both = await runInProcess(['verify', join(folder, '*.part')]);
    expect(both.exit).toBe(3);
    expect(both.stderr.match(/not valid UTF-8/g)).toHaveLength(1);
    expect(both.stdout.toString()).toContain('1 page');
  },
);
