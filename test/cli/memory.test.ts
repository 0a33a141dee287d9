import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/files.ts';
import { idlePeak, lines, toolPeak } from '../support/memory.ts';

const MIB = 2 ** 20;

// A small version of the campaign: what grows with the input would show at this size already.
test('append of a 128 MiB stream adds at most 26 MiB to an idle Node, and verify of the file at most 17', async () => {
  const file = join(temporaryFolder(), 'file');
  const idle = await idlePeak();
  await toolPeak(['create', file]);
  expect((await toolPeak(['append', file], lines(128 * MIB))) - idle).toBeLessThan(26 * MIB);
  expect((await toolPeak(['verify', file])) - idle).toBeLessThan(17 * MIB);
});
