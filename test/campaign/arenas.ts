// Random calls of pages in memory and of arenas against plain models, and of the page writers against each other:
// `npm run campaign:arenas -- [--runs N] [--seed S]`. A failure prints the calls, shortened, and the seed that makes them again.

import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { ARENA_PROPERTIES } from '../support/arena-model.ts';
import { KEY_PROPERTIES } from '../support/key-model.ts';
import { pageProperty } from '../support/page-model.ts';
import { RANGE_PROPERTIES } from '../support/range-model.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' } },
});

/** A whole number from the command line: with one that is none, nothing would be tried, and nothing missed. */
function whole(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new RangeError(`'${text}' is no whole number of at least 1`);
  return Number(text);
}

const [numRuns, seed] = [whole(values.runs), whole(values.seed)];
const PROPERTIES: Readonly<Record<string, unknown>> = {
  ByteNodeArenaV1: pageProperty('v1'),
  ByteNodeArenaV2: pageProperty('v2'),
  ...ARENA_PROPERTIES,
  ...KEY_PROPERTIES,
  ...RANGE_PROPERTIES,
};

for (const [name, property] of Object.entries(PROPERTIES)) {
  const started = performance.now();
  const details = fc.check(property as fc.IProperty<unknown>, { numRuns, seed });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const result = details.failed ? 'FAILED' : 'no difference';
  console.log(`${name}: ${details.numRuns} runs, seed ${seed}: ${result} (${seconds} s)`);
  if (!details.failed) continue;
  console.log(fc.defaultReportMessage(details));
  process.exitCode = 1;
}
