import { describe, expect, test } from 'vitest';
import { PageStoreError } from '../../src/errors.ts';
import type { Reporter, ReportOutput } from '../../src/report/reporter.ts';
import { sarifReporter } from '../../src/report/sarif.ts';
import { RULES } from '../../src/verify/rules.ts';
import { finding, reportOf, sarifProblems, summary } from '../support/report.ts';

const unreadable = new PageStoreError('IO', 'open: permission denied (EACCES)', { errno: 'EACCES' });

interface Log {
  readonly runs: readonly {
    readonly tool: {
      readonly driver: { readonly rules: readonly { readonly id: string; readonly helpUri: string }[] };
    };
    readonly results: readonly Record<string, unknown>[];
    readonly invocations: readonly {
      readonly exitCode: number;
      readonly executionSuccessful: boolean;
      readonly toolExecutionNotifications: readonly { readonly message: { readonly text: string } }[];
    }[];
  }[];
}

describe('sarif', () => {
  const tool = {
    name: 'artrie-pages',
    version: '1.2.3',
    home: 'https://example.org',
    findingPages: 'https://example.org/f',
  };
  const sarif = (output: ReportOutput): Reporter => sarifReporter(output, { tool, windows: false });
  const run = async (
    ...told: Parameters<typeof reportOf> extends [unknown, ...infer Rest] ? Rest : never
  ): Promise<Log['runs'][number]> => {
    const text = await reportOf(sarif, ...told);
    expect(sarifProblems(text)).toEqual([]);
    return (JSON.parse(text) as Log).runs[0]!;
  };

  test('a finding is a result with rule, location, fingerprints and details', async () => {
    const { results } = await run(async (one) => {
      await one.finding(finding({ file: 'my data/ü#1.part', flippedBit: { offset: 786_401, bit: 3 } }));
      await one.file(summary());
    });
    expect(results).toEqual([
      {
        ruleId: 'SLOT_BOUNDS',
        ruleIndex: RULES.findIndex(({ id }) => id === 'SLOT_BOUNDS'),
        level: 'error',
        message: {
          text: expect.stringContaining('past the node area\nfound 262200, expected at most 4096\n') as string,
        },
        locations: [
          {
            physicalLocation: {
              artifactLocation: { uri: 'my%20data/%C3%BC%231.part' },
              region: { startLine: 1, byteOffset: 786_400, byteLength: 8 },
            },
            logicalLocations: [{ name: '2:3', kind: 'slot' }],
          },
        ],
        partialFingerprints: {
          'artriePagesFinding/v1': expect.stringMatching(/^[0-9a-f]{16}$/) as string,
          primaryLocationLineHash: expect.stringMatching(/^[0-9a-f]{16}:1$/) as string,
        },
        properties: {
          found: '262200',
          expected: 'at most 4096',
          flippedBit: { offset: 786_401, bit: 3 },
          next: 'artrie-pages dump data/words.part --block 2',
        },
      },
    ]);
  });

  test('a rule links to its documentation, and results refer to it by its index', async () => {
    const { tool: found } = await run(async () => undefined);
    expect(found.driver.rules.map(({ id }) => id)).toEqual(RULES.map(({ id }) => id));
    for (const { id, helpUri } of found.driver.rules) expect(helpUri).toBe(`https://example.org/f/${id}.md`);
  });

  test('a fingerprint depends on rule and location, not on values, and is unique for each location', async () => {
    const fingerprint = async (change: Parameters<typeof finding>[0]): Promise<unknown> =>
      (await run((one) => one.finding(finding(change)))).results[0]!['partialFingerprints'];
    const same = await fingerprint({});
    expect(await fingerprint({ message: 'other', found: '7', severity: 'info' })).toEqual(same);
    // The same file with another spelling of its path.
    expect(await fingerprint({ file: './data//words.part' })).toEqual(same);
    const others = [
      { slot: 4 },
      { block: 3 },
      { offset: 786_408 },
      { file: 'x.part' },
      { code: 'SLOT_OVERLAP' as const },
    ];
    const all = await Promise.all(others.map(fingerprint));
    expect(new Set([same, ...all].map((each) => JSON.stringify(each))).size).toBe(6);
  });

  test('a run is successful if all files were read, whatever was found', async () => {
    const all = await run(async (one) => {
      await one.finding(finding());
      await one.file(summary());
    });
    expect(all.invocations).toEqual([{ executionSuccessful: true, exitCode: 1, toolExecutionNotifications: [] }]);
    const some = await run((one) => one.error(unreadable, 'a b.part'), { exit: 3 });
    expect(some.invocations[0]).toMatchObject({
      executionSuccessful: false,
      exitCode: 3,
      toolExecutionNotifications: [
        {
          descriptor: { id: 'IO' },
          level: 'error',
          message: { text: 'a b.part: open: permission denied (EACCES)' },
          locations: [{ physicalLocation: { artifactLocation: { uri: 'a%20b.part' } } }],
        },
      ],
    });
  });

  test('an interrupted run is not successful, and names what was not checked', async () => {
    const { invocations } = await run((one) => one.file(summary({ interrupted: true })), {
      exit: 130,
      interrupted: true,
      unchecked: 2,
    });
    expect(invocations[0]).toMatchObject({ executionSuccessful: false, exitCode: 130 });
    expect(invocations[0]!.toolExecutionNotifications.map(({ message }) => message.text)).toEqual([
      'data/words.part: interrupted before the last block was checked',
      '2 files not checked',
    ]);
  });

  test('a log without a file is valid', async () => {
    await run(async () => undefined, { files: 0, failed: 0, error: 0, exit: 0 });
  });
});
