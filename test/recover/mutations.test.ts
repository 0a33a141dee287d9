import { expect, test } from 'vitest';
import { goodFiles } from '../support/mutations/good-files.ts';
import { RecoverCheck } from '../support/mutations/recover-check.ts';
import { runMutations } from '../support/mutations/run.ts';

test('of mutated files, recover keeps every untouched node, and reports no changed one as sound', async () => {
  const files = goodFiles();
  const recover = await RecoverCheck.of(files);
  const { failures } = await runMutations(files, {
    seed: 3,
    count: 90,
    checks: [(mutation) => recover.check(mutation)],
  });
  expect(failures).toEqual([]);
  // Otherwise nothing was looked at.
  expect(recover.taken.sound).toBeGreaterThan(900);
  expect(recover.taken.doubtful + recover.taken.lost).toBeGreaterThan(60);
});
