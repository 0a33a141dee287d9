import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/files.ts';
import { bundle } from './bundle.ts';
import { runBench } from './run-bench.ts';

const TINY = { nodes: 2000, rounds: 1, warmUp: 0, verifyMiB: 1, withPeers: false };

/** One or two of each measure: to start a process for each of the others takes time, and finds little more. */
const SOME =
  /^artrie-pages v1, (append( --|Many.bytes|$)|stream of stage,|tryView|cursor|verify)|^(bulk append|scan|verify): .*v1, (appendMany.bytes|cursor|verify)|-v1|v1, command verify --jobs 2|bare: read|version|node -e|open,/u;

test('the benchmark takes all measures that need no peers, prints a table of each and writes them as JSON', async () => {
  const folder = temporaryFolder();
  // Of src/ as it is now: what was built last may be older.
  const library = pathToFileURL(await bundle('../../src/index.ts', folder)).href;
  const [json, files] = [join(folder, 'result.json'), join(folder, 'files')];
  const printed: string[] = [];
  const measures = await runBench({
    ...TINY,
    library,
    folder: files,
    json,
    match: SOME,
    print: (text) => printed.push(text),
  });
  expect(measures.map(({ name }) => name).join(' ')).toBe(
    'append append-cli durable cold warm scan verify size memory startup growth growth-calls limits',
  );
  for (const { name, title, rows } of measures) {
    // strace is not everywhere.
    if (name !== 'growth-calls') expect(rows, name).not.toEqual([]);
    for (const row of rows) {
      expect(row.rounds.every(Number.isFinite), row.name).toBe(true);
      if (name !== 'memory') expect(row.min, row.name).toBeGreaterThan(0);
    }
    expect(printed.join('\n')).toContain(`## ${title}\n`);
  }
  const { measures: written } = JSON.parse(readFileSync(json, 'utf8')) as { measures: { name: string }[] };
  expect(written.map(({ name }) => name)).toEqual(measures.map(({ name }) => name));
  expect(readdirSync(files)).toEqual([]);
});

test('the benchmark refuses a measure that there is not', async () => {
  await expect(runBench({ ...TINY, only: ['apend'], match: /x/u, print: () => undefined })).rejects.toThrow(
    /no measure 'apend': take some of append, /,
  );
});
