// How long the tool takes to start, beside a Node that does nothing. Run: npm run bench:startup

import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

const TOOL = fileURLToPath(new URL('../../bin/artrie-pages.js', import.meta.url));
const ROUNDS = 41;

const COMMANDS = { 'node -e 0': ['-e', '0'], 'artrie-pages --version': [TOOL, '--version'] };

const times = new Map<string, number[]>(Object.keys(COMMANDS).map((name) => [name, []]));
// Interleaved, so that a busy spell of a shared machine meets both.
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, args] of Object.entries(COMMANDS)) {
    const began = performance.now();
    const { status } = spawnSync(process.execPath, args);
    if (status !== 0) throw new Error(`${name} ended with ${status}`);
    times.get(name)?.push(performance.now() - began);
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
const [idle, tool] = [...times.values()].map(median);
console.log(
  `machine: ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}, ${process.platform}`,
);
console.log(`command: npm run bench:startup (${ROUNDS} interleaved rounds)`);
for (const [name, values] of times)
  console.log(
    `${name}: median ${median(values).toFixed(1)} ms, min ${Math.min(...values).toFixed(1)}, max ${Math.max(...values).toFixed(1)}`,
  );
console.log(`ratio: ${((tool ?? NaN) / (idle ?? NaN)).toFixed(2)}`);
