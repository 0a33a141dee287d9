// How much memory `append` of a 2 GiB stream, `import --csv` of a million cells, and `verify` of files of more than 2 GiB, with one thread and with two,
// add to an idle Node.
// Measured by each process itself when it ends: see test/support/memory.ts. Run: npm run campaign:memory

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { csvRows, idlePeak, LIMITED, lines, type Peak, toolPeak } from '../support/memory.ts';
import { writeSparseFile } from '../support/sparse-file.ts';

const MIB = 2 ** 20;
/** What each may add: some 4 MiB more than it did when this was written. */
const LIMITS = {
  append: 26 * MIB,
  verify: 19 * MIB,
  verifyWithThread: 30 * MIB,
  stat: 17 * MIB,
  read: 19 * MIB,
  csv: 54 * MIB,
};
/** What Node 20 adds of its executable, at least. */
const FILE_PAGES = 3 * MIB;
const GIB = 2 ** 30;

const idle = await idlePeak();
const folder = mkdtempSync(join(tmpdir(), 'artrie-pages-memory-'));
try {
  console.log(`idle node: ${mib(idle.resident)}`);
  for (const format of ['v1', 'v2']) {
    const file = join(folder, format);
    await toolPeak(['create', file, '--page-format', format]);
    check(`append of 2 GiB, ${format}`, await toolPeak(['append', file], lines(2 * GIB)), LIMITS.append);
    check(
      `verify of ${(statSync(file).size / GIB).toFixed(2)} GiB, ${format}`,
      await toolPeak(['verify', file]),
      LIMITS.verify,
    );
    check(`stat of the same`, await toolPeak(['stat', file]), LIMITS.stat);
    check(`read --all of the same`, await toolPeak(['read', '--all', file]), LIMITS.read);
    rmSync(file);
  }
  const csv = join(folder, 'csv');
  for (const cells of [1_000_000, 5_000_000]) {
    const args = ['import', csv, '--force', '--csv', '-', '--table', 'users', '--map', join(folder, 'map')];
    check(`import --csv of ${cells} cells`, await toolPeak(args, csvRows(cells / 5)), LIMITS.csv);
  }
  check('read --key of the last one', await toolPeak(['read', csv, '--key', 'users/1000000/note']), LIMITS.read);
  rmSync(csv);
  const sparse = join(folder, 'sparse');
  writeSparseFile(sparse, (4 * GIB) / BLOCK_BYTES, (1.5 * GIB) / BLOCK_BYTES);
  for (const jobs of ['1', '2']) {
    const started = performance.now();
    const peak = await toolPeak(['verify', '--jobs', jobs, sparse]);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const limit = jobs === '1' ? LIMITS.verify : LIMITS.verifyWithThread;
    check(`verify of 4 GiB, 1.5 GiB of them pages, ${jobs} thread(s), ${seconds} s`, peak, limit);
  }
} finally {
  rmSync(folder, { recursive: true });
}

function check(what: string, peak: Peak, limit: number): void {
  const added = { resident: peak.resident - idle.resident, own: peak.own - idle.own };
  console.log(`${what}: ${mib(added.resident)} added, ${mib(added.own)} of them its own`);
  if (added[LIMITED] > limit - (LIMITED === 'own' ? FILE_PAGES : 0)) process.exitCode = 1;
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
