// What it costs to append 64 bytes durably, beside a bare write and sync, SQLite and LMDB.
// Run: npm run bench:durable -- [--folder PATH] [--rounds N] [--warm-up N] [--appends N] [--json PATH]

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Child } from './child.ts';
import { CONTENDERS } from './contenders/durable-append.ts';
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
const children: Child[] = [];
try {
  const facts: (readonly string[])[] = [];
  for (const number of CONTENDERS.keys()) {
    const own = join(folder, String(number));
    mkdirSync(own);
    const child = new Child([number, own, appends, (rounds + warmUp) * appends].map(String));
    children.push(child);
    facts.push((await child.ask()).facts ?? []);
  }
  const times = CONTENDERS.map((): number[] => []);
  for (let round = -warmUp; round < rounds; round++) {
    // Interleaved in short rounds, so that a busy spell of a shared machine meets all; each round begins with another contender.
    for (const step of CONTENDERS.keys()) {
      const number = (step + round + warmUp) % CONTENDERS.length;
      const { microseconds = NaN } = await children[number]!.ask('round');
      if (round >= 0) times[number]!.push(microseconds);
    }
  }
  for (const child of children) await child.ask('check');
  const report: Report = {
    machine: machineOf(folder),
    command: ['npm run bench:durable', ...(process.argv.length > 2 ? ['--'] : []), ...process.argv.slice(2)].join(' '),
    rounds,
    appendsPerRound: appends,
    results: resultsOf(CONTENDERS, times, facts),
  };
  console.log(asMarkdown(report));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
} finally {
  for (const child of children) child.end();
  rmSync(folder, { recursive: true, force: true });
}

function count(name: 'rounds' | 'warm-up' | 'appends', least: number): number {
  const value = Number(values[name]);
  if (!Number.isSafeInteger(value) || value < least)
    throw new RangeError(`--${name} takes a whole number from ${least}`);
  return value;
}
