// Readers of all kinds while another process writes: verify over and over, reads of nodes that were acknowledged, walks
// over all pages. Run: npm run campaign:readers -- --seconds 10 --seed 1

import { parseArgs } from 'node:util';
import { GROWING, readDuringWrites, REUSING } from '../support/kills/readers.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } });
const seconds = Number(values.seconds ?? 10);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));

for (const [what, kinds] of [
  ['appends and updates', GROWING],
  ['the same, and blocks freed and used again', REUSING],
] as const) {
  for (const format of ['v1', 'v2'] as const) {
    const { faults, ...tally } = await readDuringWrites(format, kinds, seconds * 1000, seed);
    console.log(`${format}, ${what}, ${seconds} s, seed ${seed}:`);
    console.log(
      `  written: ${tally.appended} nodes appended, ${tally.updated} updated, ${tally.freed} blocks freed\n` +
        `  verify: ${tally.verifyRuns} runs, ${tally.verifyRunsChanged} of them while a commit was made; notes: ${JSON.stringify(tally.infos)}\n` +
        `  read: ${tally.reads} nodes through one store, ${tally.freshReads} through fresh ones, ` +
        `${tally.walkedNodes} on ${tally.walks} walks over all pages`,
    );
    console.log(`  faults: ${faults.length}`);
    for (const fault of faults.slice(0, 10)) console.error(`  ${fault}`);
    if (faults.length > 0) process.exitCode = 1;
  }
}
