// Damages files in the ways in which disks and file systems do, with whole pages and sectors that are lost, older, or in
// the wrong place, and compares what verify, a reader, a writer, repair and recover make of them with what was acknowledged:
// `npm run campaign:faults -- [--runs N | --minutes M] [--seed S] [--jobs J]`. A failure names its seed and number;
// `--seed S --only I` makes that one again, and prints the script of the file. With `--killed`, the last change of each file is
// only in its commit record, as after a process was killed: what is lost of that record looks like a power cut. With `--pages`,
// whole pages alone are lost, older or misplaced, one at a time, and the file is only verified and read: many more faults in the
// same time.

import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { WHOLE_PAGE_KINDS } from '../support/faults/faults.ts';
import {
  addTallies,
  type Failure,
  failureLines,
  type FaultReport,
  runFaults,
  scriptOf,
  tableOf,
  type Tallies,
} from '../support/faults/run.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string' },
    minutes: { type: 'string' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    from: { type: 'string' },
    killed: { type: 'boolean', default: false },
    pages: { type: 'boolean', default: false },
  },
});

/** A number from the command line: with one that is none, nothing would be tried, and nothing missed. */
function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new RangeError(`'${text}' is no whole number`);
  return Number(text);
}

/** Faults far from those of the other processes. */
const FAULTS_APART = 100_000_020;

const seed = whole(values.seed);
const jobs = whole(values.jobs);
const milliseconds = values.minutes === undefined ? Infinity : Number(values.minutes) * 60_000;
const runs = values.runs === undefined ? (values.minutes === undefined ? 6_000 : 100_000_000) : whole(values.runs);
if (!(milliseconds > 0) || runs === 0) throw new RangeError('there is nothing to do');
const { killed, pages } = values;
const settings = pages
  ? { seed, milliseconds, killed, kinds: WHOLE_PAGE_KINDS, without: true }
  : { seed, milliseconds, killed, doubles: true, rules: true, without: true };

if (values.only !== undefined) await runOnly(whole(values.only));
else if (values.from === undefined) await runAll();
else process.send?.(await runFaults({ ...settings, from: whole(values.from), count: runs, mostFailures: 100_000 }));

async function runOnly(from: number): Promise<void> {
  console.log(await scriptOf(seed, from, killed));
  const report = await runFaults({ ...settings, from, count: 1 });
  print(report.withDigest, report.without, report.failures, `--seed ${seed} --only ${from}`);
}

async function runAll(): Promise<void> {
  const started = performance.now();
  const shares = await Promise.all(Array.from({ length: jobs }, (_, job) => shareOf(job)));
  const [withDigest, without]: [Tallies, Tallies] = [{}, {}];
  for (const share of shares) {
    addTallies(withDigest, share.withDigest);
    addTallies(without, share.without);
  }
  const seconds = Math.round((performance.now() - started) / 1000);
  const failures = shares.flatMap((share) => share.failures);
  print(withDigest, without, failures, `seed ${seed}, ${seconds} s, ${jobs} processes`);
}

function print(withDigest: Tallies, without: Tallies, failures: readonly Failure[], how: string): void {
  console.log('files with a digest of the page headers');
  for (const line of tableOf(withDigest)) console.log(line);
  console.log('\nthe same files without it');
  for (const line of tableOf(without)) console.log(line);
  console.log(`\n${failures.length === 0 ? 'nothing missed, no rule broken' : `${failures.length} FAILED`} (${how})`);
  for (const line of failureLines(failures)) console.log(line);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

async function shareOf(job: number): Promise<FaultReport> {
  const args = ['--runs', String(Math.ceil(runs / jobs)), '--seed', String(seed), '--from', String(job * FAULTS_APART)];
  if (killed) args.push('--killed');
  if (pages) args.push('--pages');
  if (values.minutes !== undefined) args.push('--minutes', values.minutes);
  const child = fork(fileURLToPath(import.meta.url), args);
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as FaultReport));
    child.once('exit', (code) => {
      if (code !== 0) reject(new Error(`the process for faults from ${job * FAULTS_APART} ended with ${code}`));
    });
  });
}
