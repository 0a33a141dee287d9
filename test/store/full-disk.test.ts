import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/files.ts';
import { runOutOfSpace } from '../support/kills/full-disk.ts';

const folder = temporaryFolder();

describe.each(['v1', 'v2'] as const)('a %s file that cannot grow any more', (format) => {
  test('refuses in one line what needs space, keeps everything acknowledged, and works again once it can grow', async () => {
    const { outcomes, nodes } = await runOutOfSpace({
      path: join(folder, `${format}.part`),
      format,
      appendOptions: ['--batch', '7'],
      words: 'larger than the file system or a limit allows',
      limitKib: 1000,
      makeRoom: () => undefined,
    });
    expect(nodes).toBeGreaterThan(100);
    // The last page is full, and what is freed has room again.
    expect(outcomes).toMatchObject({ free: 'done', 'append to a freed block': 'done', finalize: 'done' });
  });
});
