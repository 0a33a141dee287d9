import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { runInProcess } from '../support/cli.ts';
import { damaged, fileWithFreeList, smallFile, withHeader } from '../support/damage.ts';
import { goldenBytes, temporaryFolder } from '../support/files.ts';
import { withOwnDigest } from '../support/spec-digest.ts';
import { jsonLines } from '../support/cli.ts';
import { junitProblems, readJunit, reportPath, sarifProblems } from '../support/report.ts';

const folder = temporaryFolder();
const before = process.cwd();
const FILES = ['sound.part', 'flipped bit.part', 'slots.part', 'circle.part', 'missing.part', 'text.part'];

// Reports contain paths as they were given, so that the expected ones are the same everywhere.
beforeAll(async () => {
  process.chdir(folder);
  writeFileSync('sound.part', goldenBytes('empty'));
  const sealed = await smallFile('v2', true);
  writeFileSync(
    'flipped bit.part',
    damaged(sealed, (copy) => (copy[fileOffset(1, 100)]! ^= 0x08)),
  );
  // A directory of another program: slot 0 points outside the page, slot 2 overlaps slot 3.
  const slots = damaged(goldenBytes('v1'), (copy, view) => {
    view.setUint32(fileOffset(1, BLOCK_BYTES - 8), 262_000, true);
    view.setUint32(fileOffset(1, BLOCK_BYTES - 4), 99_999, true);
    copy.copyWithin(fileOffset(1, BLOCK_BYTES - 24), fileOffset(1, BLOCK_BYTES - 32), fileOffset(1, BLOCK_BYTES - 24));
  });
  writeFileSync('slots.part', slots);
  const list = await fileWithFreeList();
  writeFileSync('circle.part', withOwnDigest(withHeader(list, { entryCount: 7n, freeListHead: 2n << 40n })));
  const circle = readFileSync('circle.part');
  circle.writeBigUInt64LE(2n << 40n, fileOffset(3));
  writeFileSync('circle.part', circle);
  writeFileSync('text.part', 'no page file\n');
});

afterAll(() => process.chdir(before));

const FORMATS = [
  { format: 'text', file: 'report.txt' },
  { format: 'json', file: 'report.jsonl' },
  { format: 'junit', file: 'report.xml' },
  { format: 'sarif', file: 'report.sarif' },
  { format: 'github', file: 'report.commands' },
];

describe.each(FORMATS)('the $format report of good and damaged files', ({ format, file }) => {
  test('is as expected, on standard output and in a file', async () => {
    const { exit, stdout } = await runInProcess(['verify', ...FILES, '--format', format]);
    expect(exit).toBe(1);
    await expect(stdout.toString()).toMatchFileSnapshot(reportPath(file));

    const toFile = await runInProcess(['verify', ...FILES, '--format', format, '--output', join(folder, file)]);
    const screen = await runInProcess(['verify', ...FILES]);
    expect({ ...toFile, stdout: toFile.stdout.toString() }).toEqual({ ...screen, stdout: screen.stdout.toString() });
    const inFile = readFileSync(join(folder, file), 'utf8');
    // In a file, text contains unreadable files too, since standard error is not there.
    if (format === 'text') {
      const extra = inFile.split('\n').filter((line) => !stdout.toString().split('\n').includes(line));
      expect(extra).toEqual([
        'missing.part: unreadable: open: no such file or directory (ENOENT)',
        expect.stringMatching(/^text\.part: unreadable: not a page file: /),
      ]);
    } else expect(inFile).toBe(stdout.toString());
  });
});

test('all formats contain the same findings and files', async () => {
  const run = async (format: string): Promise<string> =>
    (await runInProcess(['verify', ...FILES, '--format', format, '--fail-on', 'info'])).stdout.toString();
  const objects = jsonLines(await run('json'));
  const found = objects
    .filter(({ type }) => type === 'finding')
    .map(({ file, code }) => `${String(file)} ${String(code)}`);
  expect(found.length).toBeGreaterThan(6);

  const text = (await run('text')).matchAll(/^(.*?): \S+ ([A-Z_]+) at block /gm);
  expect([...text].map(([, file, code]) => `${file} ${code}`)).toEqual(found);

  const commands = (await run('github')).matchAll(/^::\w+ file=(.*?),title=([A-Z_]+)::block /gm);
  expect([...commands].map(([, file, code]) => `${file} ${code}`)).toEqual(found);

  const { runs } = JSON.parse(await run('sarif')) as SarifLog;
  const results = runs[0]!.results.map(({ ruleId, locations }) => {
    const { uri } = locations[0]!.physicalLocation.artifactLocation;
    return `${decodeURIComponent(uri)} ${ruleId}`;
  });
  expect(results).toEqual(found);
  expect(runs[0]!.artifacts).toHaveLength(4);
  expect(runs[0]!.invocations[0]!.toolExecutionNotifications).toHaveLength(2);

  const { cases } = readJunit(await run('junit'));
  const failures = cases.filter(({ outcome }) => outcome === 'failure').map(({ suite, name }) => `${suite} ${name}`);
  expect(failures.toSorted()).toEqual([...new Set(found)].toSorted());
});

interface SarifLog {
  readonly runs: readonly {
    readonly results: readonly {
      readonly ruleId: string;
      readonly locations: readonly {
        readonly physicalLocation: { readonly artifactLocation: { readonly uri: string } };
      }[];
    }[];
    readonly artifacts: readonly object[];
    readonly invocations: readonly { readonly toolExecutionNotifications: readonly object[] }[];
  }[];
}

test('the SARIF log and the JUnit report are valid by the published schemas', async () => {
  const [sarif, junit] = [reportPath('report.sarif'), reportPath('report.xml')].map((path) =>
    readFileSync(path, 'utf8'),
  );
  expect(sarifProblems(sarif!)).toEqual([]);
  expect(await junitProblems(junit!)).toEqual([]);
});

test('the schemas refuse invalid reports', async () => {
  const sarif = readFileSync(reportPath('report.sarif'), 'utf8');
  expect(sarifProblems(sarif.replace('"level":"error"', '"level":"fatal"'))).not.toEqual([]);
  expect(sarifProblems(sarif.replaceAll('"byteOffset":', '"byteOffset":-'))).not.toEqual([]);
  const junit = readFileSync(reportPath('report.xml'), 'utf8');
  expect(await junitProblems(junit.replace(' tests="', ' test="'))).not.toEqual([]);
  expect(await junitProblems(junit.replace('</testsuites>', ''))).not.toEqual([]);
});
