import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/files.ts';
import { idlePeak, lines, toolPeak } from '../support/memory.ts';

const LIMIT = 32 * 2 ** 20;

// A small version of the campaign: what grows with the input would show at this size already.
test('append of a 128 MiB stream and verify of the file each add at most 32 MiB to an idle Node', async () => {
  const file = join(temporaryFolder(), 'file');
  const idle = await idlePeak();
  await toolPeak(['create', file]);
  expect((await toolPeak(['append', file], lines(128 * 2 ** 20))) - idle).toBeLessThan(LIMIT);
  expect((await toolPeak(['verify', file])) - idle).toBeLessThan(LIMIT);
});
