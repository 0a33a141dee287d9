import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { committedRanges, goodFiles } from '../support/mutations/good-files.ts';
import { KINDS } from '../support/mutations/mutate.ts';
import { demandsOf, unmet } from '../support/mutations/oracle.ts';
import { mutationOf, runMutations } from '../support/mutations/run.ts';
import { verifyAll } from '../support/verify.ts';

const files = goodFiles();

describe('mutations of valid files', () => {
  test('are all found in committed bytes, with a bounded number of reads', async () => {
    const { tallies, failures } = await runMutations(files, { seed: 7, count: 450 });
    expect(failures).toEqual([]);
    for (const kind of KINDS) expect(tallies[kind].mutations, kind).toBe(30);
    const found = KINDS.map((kind) => tallies[kind].found).reduce((sum, each) => sum + each);
    expect(found).toBeGreaterThan(280);
  });

  test('are deterministic', () => {
    for (const index of [0, 17, 449])
      expect(mutationOf(files, 7, index).edits).toEqual(mutationOf(files, 7, index).edits);
    expect(mutationOf(files, 7, 17).edits).not.toEqual(mutationOf(files, 8, 17).edits);
  });

  test('are reported as missed if verify reports nothing: the oracle can fail', () => {
    const missed = Array.from({ length: 300 }, (_, index) => unmet(demandsOf(mutationOf(files, 7, index)), []));
    expect(missed.filter((demands) => demands.length > 0).length).toBeGreaterThan(150);
  });
});

describe('the valid files', () => {
  test.each(files)('$name has no finding', async ({ bytes }) => {
    expect((await verifyAll(bytes.slice())).findings).toEqual([]);
  });

  test('have their committed bytes where the format description says', () => {
    const ranges = committedRanges(files.find(({ name }) => name === 'free')!.bytes);
    expect(
      ranges.map(({ what, block, start, end }) => `${what} ${block} ${start - block * BLOCK_BYTES}+${end - start}`),
    ).toEqual([
      'file header 0 0+64',
      'digest 0 88+40',
      'header copy 0 12288+86',
      'page 1 0+157',
      'page 1 262096+48',
      'link 2 0+8',
      'link 3 0+8',
      'link 4 0+8',
      'page 5 0+172',
      'page 5 262096+48',
    ]);
  });
});
