import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { beforeAll, describe, expect, test } from 'vitest';
import { Interrupted } from '../../../src/cli/context.ts';
import { BLOCK_BYTES, fileOffset } from '../../../src/format/layout.ts';
import { BIN, jsonLines, runInProcess } from '../../support/cli.ts';
import { damaged, smallFile, withHeader } from '../../support/damage.ts';
import { goldenPath, temporaryFolder } from '../../support/files.ts';
import { junitProblems, readJunit, sarifProblems } from '../../support/report.ts';
import { withOwnDigest } from '../../support/spec-digest.ts';

/** Enough to take long to read. All but one are holes in the file. */
const BLOCKS = 262_144;

const folder = temporaryFolder();
const first = goldenPath('stale-header');
const large = join(folder, 'large.part');
const last = goldenPath('v1');

beforeAll(async () => {
  const broken = damaged(await smallFile('v2', true), (copy) => (copy[fileOffset(1, 100)]! ^= 1));
  writeFileSync(large, withOwnDigest(withHeader(broken, { blockCount: BLOCKS })));
  truncateSync(large, BLOCKS * BLOCK_BYTES);
});

interface Ended {
  readonly exit: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs verify until it prints its progress, and then sends it signals. */
async function interrupted(args: readonly string[], ...signals: readonly NodeJS.Signals[]): Promise<Ended> {
  const child: ChildProcessByStdio<null, Readable, Readable> = spawn(process.execPath, [BIN, 'verify', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderr === '') for (const each of signals) child.kill(each);
    stderr += chunk.toString();
  });
  const exit = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { exit, stdout: Buffer.concat(stdout), stderr };
}

// Each of them waits a second for the first progress; concurrent tests wait only once.
describe.concurrent('a signal in the middle of a file', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s prints what was found so far, completes the report and starts no other file',
    async (signal) => {
      const report = join(folder, `${signal}.jsonl`);
      const args = [first, large, last, '--output', report, '--format', 'json'];
      const { exit, stdout, stderr } = await interrupted(args, signal);
      expect(exit).toBe(130);
      // Progress names the current file, and the number of files.
      expect(stderr).toMatch(new RegExp(`^${large} \\(file 2 of 3\\): \\d+% of `));
      const text = stdout.toString();
      expect(text).toContain(`${first}: damaged (1 error, `);
      expect(text).toMatch(new RegExp(`^${large}: error PAGE_CHECKSUM at block 1, `, 'm'));
      expect(text).toMatch(new RegExp(`^${large}: damaged \\(1 error, 0 warnings, 0 info\\).*interrupted`, 'm'));
      expect(text).not.toContain(last);
      expect(text.endsWith('interrupted: 1 file not checked\n')).toBe(true);

      const objects = jsonLines(readFileSync(report));
      expect(objects.at(-2)).toMatchObject({ type: 'file', file: large, interrupted: true });
      const totals = { files: 3, failed: 2, unreadable: 0, interrupted: true, unchecked: 1, exit: 130 };
      expect(objects.at(-1)).toMatchObject({ type: 'summary', ...totals });
    },
  );

  test('completes a SARIF log, in which the run is not successful', async () => {
    const { exit, stdout } = await interrupted([large, last, '--format', 'sarif'], 'SIGINT');
    expect(exit).toBe(130);
    expect(sarifProblems(stdout.toString())).toEqual([]);
    const { runs } = JSON.parse(stdout.toString()) as {
      runs: readonly { results: unknown[]; invocations: unknown[] }[];
    };
    expect(runs[0]!.results).toHaveLength(1);
    expect(runs[0]!.invocations[0]).toMatchObject({ executionSuccessful: false, exitCode: 130 });
  });

  test('sent twice at once, as by timeout and npx, completes a JUnit report, in which no unfinished rule passes', async () => {
    const { exit, stdout } = await interrupted([large, last, '--format', 'junit'], 'SIGINT', 'SIGTERM');
    expect(exit).toBe(130);
    expect(await junitProblems(stdout.toString())).toEqual([]);
    const { suites, cases } = readJunit(stdout.toString());
    expect(suites.map(({ name, failures, errors }) => [name, failures, errors])).toEqual([
      [large, 1, 0],
      ['artrie-pages verify', 0, 1],
    ]);
    expect(cases.filter(({ outcome }) => outcome === 'passed')).toEqual([]);
  });

  test('with --quiet prints no progress', async () => {
    const abort = new AbortController();
    // Longer than it takes until the first progress.
    setTimeout(() => abort.abort(new Interrupted('SIGINT')), 1500);
    const { exit, stderr } = await runInProcess(['verify', large, '--quiet'], { signal: abort.signal });
    expect({ exit, stderr }).toEqual({ exit: 130, stderr: '' });
  });
});

test.each(['text', 'json', 'junit', 'sarif', 'github'])(
  'an interruption before the first file completes a report as %s',
  async (format) => {
    const signal = AbortSignal.abort(new Interrupted('SIGINT'));
    const { exit, stdout } = await runInProcess(['verify', first, last, '--format', format], { signal });
    expect(exit).toBe(130);
    const text = stdout.toString();
    expect(text).toMatch(/interrupted/);
    expect(text).not.toContain('PAGE_CHECKSUM_ABSENT at');
    if (format === 'junit') expect(await junitProblems(text)).toEqual([]);
    if (format === 'sarif') expect(sarifProblems(text)).toEqual([]);
  },
);
