// Damages good files in every way that it can think of and lets verify and recover judge them: `npm run campaign:mutations -- [--count N]
// [--seed S]`. A failure names its seed and number; `--seed S --only I` makes that one again.

import { parseArgs } from 'node:util';
import { goodFiles } from '../support/mutations/good-files.ts';
import { RecoverCheck } from '../support/mutations/recover-check.ts';
import { runMutations, type Tally } from '../support/mutations/run.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});

/** A whole number from the command line: with one that is none, nothing would be tried, and nothing missed. */
function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new RangeError(`'${text}' is no whole number`);
  return Number(text);
}

const started = performance.now();
const seed = whole(values.seed);
const range = values.only === undefined ? { count: whole(values.count) } : { from: whole(values.only), count: 1 };
const files = goodFiles();
const recover = await RecoverCheck.of(files);
const { tallies, failures } = await runMutations(files, {
  seed,
  ...range,
  checks: [(mutation) => recover.check(mutation)],
});
const seconds = (performance.now() - started) / 1000;

const row = (name: string, { mutations, found, notCommitted, maxReads }: Tally): string =>
  [name.padEnd(13), ...[mutations, found, notCommitted, maxReads].map((value) => String(value).padStart(14))].join('');
console.log(
  ['kind'.padEnd(13), ...['mutations', 'found', 'not committed', 'max. reads'].map((head) => head.padStart(14))].join(
    '',
  ),
);
const total: Tally = { mutations: 0, found: 0, notCommitted: 0, maxReads: 0 };
for (const [kind, tally] of Object.entries(tallies)) {
  console.log(row(kind, tally));
  for (const count of ['mutations', 'found', 'notCommitted'] as const) total[count] += tally[count];
  total.maxReads = Math.max(total.maxReads, tally.maxReads);
}
console.log(row('all', total));
console.log(recover.summary());
for (const failure of failures) console.log(failure);
console.log(
  `seed ${seed}: ${failures.length === 0 ? 'nothing missed' : `${failures.length} FAILED`} (${seconds.toFixed(1)} s)`,
);
process.exitCode = failures.length === 0 ? 0 : 1;
