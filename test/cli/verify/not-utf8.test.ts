import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runInProcess } from '../../support/cli.ts';
import { smallFile } from '../../support/damage.ts';

const folder = mkdtempSync(join(tmpdir(), 'not-utf8-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.runIf(process.platform === 'linux')(
  'a file whose name is not UTF-8 is told of, and not another one in its place',
  async () => {
    const bytes = await smallFile('v1');
    const inFolder = (name: Buffer): Buffer => Buffer.concat([Buffer.from(`${folder}/`), name]);
    writeFileSync(inFolder(Buffer.from('inv\xff\xfe.part', 'latin1')), bytes);
    const told = await runInProcess(['verify', join(folder, '*.part')]);
    expect(told.exit).toBe(3);
    expect(told.stderr).toContain('its name is not UTF-8, which this program cannot open; rename it');
    // A file that has the replacement characters in its name is checked by itself.
    writeFileSync(join(folder, 'inv\u{fffd}\u{fffd}.part'), bytes);
    const both = await runInProcess(['verify', join(folder, '*.part')]);
    expect(both.exit).toBe(3);
    expect(both.stderr.match(/not UTF-8/g)).toHaveLength(1);
    expect(both.stdout.toString()).toContain('1 page');
  },
);
