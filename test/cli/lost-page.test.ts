import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { fileOffset } from '../../src/format/layout.ts';
import { runInProcess } from '../support/cli.ts';
import { damaged, smallFile } from '../support/damage.ts';

const folder = mkdtempSync(join(tmpdir(), 'lost-page-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([['export'], ['read', '--all']])(
  '%s says of a page whose magic is zero that it is left out',
  async (...args) => {
    const path = join(folder, 'zeroed.part');
    const bytes = damaged(await smallFile('v2'), (copy) => copy.fill(0, fileOffset(1), fileOffset(1, 8)));
    writeFileSync(path, bytes);
    const told = await runInProcess([...args, path]);
    expect(told.exit).toBe(0);
    expect(told.stderr).toContain('block 1 begins with 8 zero bytes instead of the page magic 0x3256415241545942');
    expect(told.stderr).toContain('artrie-pages repair --dry-run');
    expect((await runInProcess([...args, path, '--quiet'])).stderr).toBe('');
  },
);
