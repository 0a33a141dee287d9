// How much memory `append` of a 2 GiB stream and `verify` of files of more than 2 GiB, with one thread and with two,
// add to an idle Node.
// Measured as ru_maxrss, which each process tells of itself when it ends. Run: npm run campaign:memory

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { idlePeak, lines, toolPeak } from '../support/memory.ts';
import { writeSparseFile } from '../support/sparse-file.ts';

const MIB = 2 ** 20;
/** What each may add: some 4 MiB more than it did when this was written. */
const LIMITS = { append: 26 * MIB, verify: 19 * MIB, verifyWithThread: 30 * MIB, stat: 17 * MIB, read: 19 * MIB };
const GIB = 2 ** 30;

const folder = mkdtempSync(join(tmpdir(), 'artrie-pages-memory-'));
try {
  const idle = await idlePeak();
  console.log(`idle node: ${mib(idle)}`);
  for (const format of ['v1', 'v2']) {
    const file = join(folder, format);
    await toolPeak(['create', file, '--page-format', format]);
    check(`append of 2 GiB, ${format}`, (await toolPeak(['append', file], lines(2 * GIB))) - idle, LIMITS.append);
    check(
      `verify of ${(statSync(file).size / GIB).toFixed(2)} GiB, ${format}`,
      (await toolPeak(['verify', file])) - idle,
      LIMITS.verify,
    );
    check(`stat of the same`, (await toolPeak(['stat', file])) - idle, LIMITS.stat);
    check(`read --all of the same`, (await toolPeak(['read', '--all', file])) - idle, LIMITS.read);
    rmSync(file);
  }
  const sparse = join(folder, 'sparse');
  writeSparseFile(sparse, (4 * GIB) / BLOCK_BYTES, (1.5 * GIB) / BLOCK_BYTES);
  for (const jobs of ['1', '2']) {
    const started = performance.now();
    const peak = await toolPeak(['verify', '--jobs', jobs, sparse]);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const limit = jobs === '1' ? LIMITS.verify : LIMITS.verifyWithThread;
    check(`verify of 4 GiB, 1.5 GiB of them pages, ${jobs} thread(s), ${seconds} s`, peak - idle, limit);
  }
} finally {
  rmSync(folder, { recursive: true });
}

function check(what: string, added: number, limit: number): void {
  console.log(`${what}: ${mib(added)} added`);
  if (added > limit) process.exitCode = 1;
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
