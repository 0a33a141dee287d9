import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { expectOneError, output, runInProcess } from '../support/cli.ts';
import { withHeader } from '../support/damage.ts';
import { temporaryFolder } from '../support/files.ts';

const folder = temporaryFolder();
const cut = join(folder, 'cut.part');
const uncounted = join(folder, 'uncounted.part');

beforeAll(async () => {
  await output(['create', cut]);
  await output(['append', cut, 'alpha', 'beta']);
  await output(['allocate', cut, '--count', '2']);
  // A copy: the slice of a Buffer would be the same bytes.
  const bytes = new Uint8Array(readFileSync(cut));
  writeFileSync(uncounted, withHeader(bytes, { blockCount: 0 }));
  writeFileSync(cut, bytes.subarray(0, 2 * BLOCK_BYTES + 100));
});

describe('a file with fewer blocks than its header counts', () => {
  test.each([
    { args: ['read', '--all'], there: 'alpha\nbeta\n' },
    { args: ['export'], there: '"text":"beta"}\n' },
  ])('$args.0 prints the existing nodes, and exits 5', async ({ args, there }) => {
    const { exit, stdout, stderr } = await runInProcess([...args, cut]);
    expect(exit).toBe(5);
    expect(stdout.toString().endsWith(there)).toBe(true);
    expectOneError(stderr);
    expect(stderr).toContain('block 2');
  });

  test.each([['read', '--all'], ['export'], ['stat']])('%s exits 5 if it counts none', async (...args) => {
    const { exit, stderr } = await runInProcess([...args, uncounted]);
    expect(exit).toBe(5);
    expectOneError(stderr);
    expect(stderr).toContain('blockCount is 0');
  });
});
