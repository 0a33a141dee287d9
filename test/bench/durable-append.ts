// What it costs to append 64 bytes durably, beside a bare write and sync, SQLite and LMDB.
// Run: npm run bench:durable -- [--folder PATH] [--rounds N] [--warm-up N] [--appends N] [--json PATH]

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { raceDurably } from './durable-race.ts';
import { SOURCES } from './sources.ts';
import { machineOf } from './machine.ts';
import { asMarkdown, type Report, resultsOf } from './report.ts';

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: tmpdir() },
    rounds: { type: 'string', default: '30' },
    'warm-up': { type: 'string', default: '10' },
    appends: { type: 'string', default: '100' },
    json: { type: 'string' },
  },
});
const rounds = count('rounds', 1);
const warmUp = count('warm-up', 0);
// Whole groups of a hundred, so that every contender appends the same nodes.
const appends = 100 * Math.ceil(count('appends', 1) / 100);

mkdirSync(values.folder, { recursive: true });
const folder = mkdtempSync(join(values.folder, 'artrie-pages-bench-'));
try {
  const results = await raceDurably({ folder, rounds, warmUp, appends, sources: SOURCES });
  const report: Report = {
    machine: machineOf(folder),
    command: ['npm run bench:durable', ...(process.argv.length > 2 ? ['--'] : []), ...process.argv.slice(2)].join(' '),
    rounds,
    appendsPerRound: appends,
    results: resultsOf(
      results.map(({ contender }) => contender),
      results.map(({ rounds }) => rounds),
      results.map(({ facts }) => facts),
    ),
  };
  console.log(asMarkdown(report));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function count(name: 'rounds' | 'warm-up' | 'appends', least: number): number {
  const value = Number(values[name]);
  if (!Number.isSafeInteger(value) || value < least)
    throw new RangeError(`--${name} takes a whole number from ${least}`);
  return value;
}
