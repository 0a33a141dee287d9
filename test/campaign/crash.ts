// Judges the states that a power cut may leave: `npm run campaign:crash -- [--states N] [--seed S] [--jobs J]`.
// Each seed is a script of its own for V1 and for V2. A failure names its seed; `--seed S --states 1` runs that one alone.

import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runCrashes } from '../support/crash/crash-run.ts';

const { values } = parseArgs({
  options: {
    states: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    step: { type: 'string' },
  },
});

/** What one process did. */
interface Share {
  states: number;
  secondRuns: number;
  failedSyncs: number;
  lastSeed: number;
  failures: string[];
}

const wanted = Number(values.states);
const firstSeed = Number(values.seed);
const jobs = Number(values.jobs);

if (values.step === undefined) await runAll();
else await runShare(Number(values.step));

async function runShare(step: number): Promise<void> {
  const share: Share = { states: 0, secondRuns: 0, failedSyncs: 0, lastSeed: firstSeed, failures: [] };
  for (let seed = firstSeed; share.states < wanted && share.failures.length < 20; seed += step) {
    share.lastSeed = seed;
    for (const pageFormat of ['v1', 'v2'] as const) {
      const report = await runCrashes({ seed, pageFormat, actions: 12, goOnFromOneIn: 300 });
      share.states += report.states;
      share.secondRuns += report.secondRuns;
      share.failedSyncs += report.failedSyncs;
      share.failures.push(...report.failures);
    }
  }
  process.send?.(share);
}

async function runAll(): Promise<void> {
  const started = performance.now();
  const shares = await Promise.all(Array.from({ length: jobs }, (_, job) => shareOf(job)));
  const sum = (count: (share: Share) => number): number => shares.reduce((total, share) => total + count(share), 0);
  const failures = shares.flatMap((share) => share.failures);
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(
    `${sum((share) => share.states)} states after power cuts, seeds ${firstSeed} to ${Math.max(...shares.map((share) => share.lastSeed))}, V1 and V2: ` +
      `${sum((share) => share.secondRuns)} gone on from (crash, recover, append, crash), ${sum((share) => share.failedSyncs)} failed syncs; ` +
      `${failures.length === 0 ? 'no state failed' : `${failures.length} FAILED`} (${seconds} s, ${jobs} processes)`,
  );
  for (const failure of failures) console.log(failure);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

async function shareOf(job: number): Promise<Share> {
  const share = Math.ceil(wanted / jobs);
  const args = ['--states', String(share), '--seed', String(firstSeed + job), '--step', String(jobs)];
  const child = fork(fileURLToPath(import.meta.url), args);
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as Share));
    child.once('exit', (code) => {
      if (code !== 0) reject(new Error(`the process for seeds from ${firstSeed + job} ended with ${code}`));
    });
  });
}
