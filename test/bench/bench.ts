// Everything that is measured, beside what would be used instead.
// Run: npm run bench -- [--folder PATH] [--nodes N] [--rounds N] [--verify-mib N] [--only NAME,...] [--match REGEX] [--quick]
// [--json PATH]

import { parseArgs } from 'node:util';
import { runBench } from './run-bench.ts';

const { values } = parseArgs({
  options: {
    folder: { type: 'string' },
    nodes: { type: 'string' },
    rounds: { type: 'string' },
    'verify-mib': { type: 'string' },
    only: { type: 'string' },
    match: { type: 'string' },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
});

function count(name: 'nodes' | 'rounds' | 'verify-mib', otherwise: number): number {
  const value = Number(values[name] ?? otherwise);
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`--${name} takes a whole number from 1`);
  return value;
}

try {
  await takeAll();
} catch (error) {
  // What was asked for cannot be had.
  if (!(error instanceof RangeError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}

async function takeAll(): Promise<void> {
  await runBench({
    nodes: count('nodes', values.quick ? 50_000 : 1_000_000),
    rounds: count('rounds', values.quick ? 1 : 5),
    warmUp: 1,
    verifyMiB: count('verify-mib', values.quick ? 64 : 1024),
    match: new RegExp(values.match ?? '', 'u'),
    withPeers: true,
    ...(values.only === undefined ? {} : { only: values.only.split(',') }),
    ...(values.folder === undefined ? {} : { folder: values.folder }),
    ...(values.json === undefined ? {} : { json: values.json }),
    print: (text) => console.log(text),
  });
}
