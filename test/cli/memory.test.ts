import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/files.ts';
import { idlePeak, LIMITED, lines, toolPeak } from '../support/memory.ts';

const MIB = 2 ** 20;
/** In MiB, added to an idle Node. With Node 20, what is resident beyond a command's own memory is 2 to 6 MiB. */
const LIMITS = { resident: { append: 26, verify: 17 }, own: { append: 18, verify: 14 } };

// A small version of the campaign: what grows with the input would show at this size already.
test('append of a 128 MiB stream and verify of the file add little memory to an idle Node', async () => {
  const file = join(temporaryFolder(), 'file');
  const idle = await idlePeak();
  await toolPeak(['create', file]);
  const append = await toolPeak(['append', file], lines(128 * MIB));
  const verify = await toolPeak(['verify', file]);
  for (const kind of new Set([LIMITED, 'own'] as const)) {
    expect((append[kind] - idle[kind]) / MIB, `append, ${kind}`).toBeLessThan(LIMITS[kind].append);
    expect((verify[kind] - idle[kind]) / MIB, `verify, ${kind}`).toBeLessThan(LIMITS[kind].verify);
  }
});
