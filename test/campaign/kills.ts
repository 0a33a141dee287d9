// Writers that are killed: `append` of the command line, single commands, and a child with the library, on files that
// keep growing. After each kill the file is held to everything that was ever acknowledged. It needs the built command
// line. Run: npm run campaign:kills -- --rounds 200 --seed 1

import { parseArgs } from 'node:util';
import { killWriters } from '../support/kills/campaign.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string' }, seed: { type: 'string' }, verbose: { type: 'boolean' } },
});
const rounds = Number(values.rounds ?? 200);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
const LONGEST_LIFE_MS = 400;

const began = performance.now();
console.log(`seed ${seed}, ${rounds} rounds, V1 and V2 in turn`);
try {
  const log = values.verbose === true ? (line: string): void => console.log(line) : undefined;
  const tally = await killWriters(rounds, seed, LONGEST_LIFE_MS, log);
  console.log(`${tally.rounds} writers killed: ${kinds(tally.byKind)}`);
  console.log(`${tally.acknowledged} nodes acknowledged before their writer was killed, none lost`);
  console.log(`${tally.refsChecked} times a ref was read back, before and after recovery`);
  console.log(`${tally.unacknowledged} nodes were there and not acknowledged, without a gap before them`);
  console.log(
    `left behind: a pending commit record in ${tally.pendingRecord} rounds, a journal in ${tally.journal}, ` +
      `uncounted blocks in ${tally.uncounted}; ${tally.leftToNextWriter} files were left to the next writer as they were`,
  );
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
console.log(`${((performance.now() - began) / 1000).toFixed(0)} s`);

function kinds(byKind: Readonly<Record<string, number>>): string {
  return Object.entries(byKind)
    .map(([kind, count]) => `${count} x ${kind}`)
    .join(', ');
}
