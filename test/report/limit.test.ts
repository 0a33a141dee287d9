import { describe, expect, test } from 'vitest';
import { PageStoreError, type ProblemCode } from '../../src/errors.ts';
import { githubReporter } from '../../src/report/github.ts';
import { jsonReporter } from '../../src/report/json.ts';
import { codesText, FindingLimit } from '../../src/report/limit.ts';
import { PLAIN, type Reporter, type ReportOutput } from '../../src/report/reporter.ts';
import { sarifReporter } from '../../src/report/sarif.ts';
import { textReporter } from '../../src/report/text.ts';
import type { Finding } from '../../src/verify/verify.ts';
import { jsonLines } from '../support/cli.ts';
import { finding, reportOf, sarifProblems, summary } from '../support/report.ts';

const tell =
  (count: number, change: Partial<Finding> = {}) =>
  async (one: Reporter): Promise<void> => {
    for (let slot = 0; slot < count; slot++)
      await one.finding(finding({ slot, block: Math.floor(slot / 90), ...change }));
  };

describe('a limit of findings', () => {
  const limit = (): FindingLimit =>
    new FindingLimit({ error: 3, warning: 2, info: 1, ofEachCode: 2, ofCodeInBlock: 9 });
  const admitted = (one: FindingLimit, severity: Finding['severity'], code: ProblemCode, count: number): number =>
    Array.from({ length: count }, () => one.admits({ severity, code })).filter(Boolean).length;

  test('each severity has its own, so that infos crowd out no errors', () => {
    const one = limit();
    expect(admitted(one, 'info', 'SLOT_LOST', 9)).toBe(2);
    expect(admitted(one, 'error', 'SLOT_BOUNDS', 9)).toBe(3);
    expect(one.omitted).toEqual({ error: 6, warning: 0, info: 7, codes: { SLOT_LOST: 7, SLOT_BOUNDS: 6 } });
  });

  test('the first of each code are let through, of each file', () => {
    const one = limit();
    expect(admitted(one, 'error', 'SLOT_BOUNDS', 9)).toBe(3);
    expect(admitted(one, 'error', 'PAGE_CHECKSUM', 9)).toBe(2);
    one.nextFile();
    expect(admitted(one, 'error', 'SLOT_BOUNDS', 9)).toBe(2);
    expect(one.omitted?.error).toBe(6 + 7 + 7);
  });

  test('a block has at most a part of those of a code', () => {
    const one = new FindingLimit({ error: 100, warning: 100, info: 100, ofEachCode: 20, ofCodeInBlock: 5 });
    const inBlock = (block: number, code: ProblemCode): boolean[] =>
      Array.from({ length: 9 }, () => one.admits({ severity: 'error', code, block })).filter(Boolean);
    expect(inBlock(1, 'SLOT_OVERLAP')).toHaveLength(5);
    expect(inBlock(1, 'SLOT_BOUNDS')).toHaveLength(5);
    expect(inBlock(2, 'SLOT_OVERLAP')).toHaveLength(5);
    expect(one.omitted?.error).toBe(12);
  });

  test('single findings of groups are counted, and nothing that was not left out', () => {
    const one = limit();
    for (let group = 0; group < 5; group++) one.admits({ severity: 'error', code: 'SLOT_BOUNDS', count: 1000 });
    expect(codesText(one.omitted!)).toBe('2,000 SLOT_BOUNDS'); // there were more than three
    one.reset();
    expect(one.omitted).toBeUndefined();
  });
});

describe('text and json', () => {
  const text =
    (all: boolean) =>
    (output: ReportOutput): Reporter =>
      textReporter(output, { style: PLAIN, withErrors: true, all });
  const json =
    (all: boolean) =>
    (output: ReportOutput): Reporter =>
      jsonReporter(output, { all });
  const many = async (one: Reporter): Promise<void> => {
    await tell(3000)(one);
    await one.finding(finding({ block: 99, slot: 3000, count: 5, lastSlot: 3004 }));
    await one.finding(finding({ code: 'ENTRY_COUNT' }));
    await one.file(summary());
    await tell(2)(one);
    await one.file(summary({ file: 'other.part' }));
  };

  test('text prints 1,000 findings of a file, and how many more there are', async () => {
    const lines = (await reportOf(text(false), many)).split('\n');
    expect(lines.filter((line) => / SLOT_BOUNDS at block /.test(line))).toHaveLength(1002);
    expect(lines.filter((line) => / ENTRY_COUNT at block /.test(line))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('more'))).toEqual([
      'data/words.part: 2,005 findings more, not printed: 2,005 SLOT_BOUNDS; --all prints each',
    ]);
  });

  test('json has a line for what it leaves out', async () => {
    const lines = jsonLines(await reportOf(json(false), many));
    expect(lines.filter(({ type }) => type === 'finding')).toHaveLength(1003);
    const counts = { error: 2005, warning: 0, info: 0 };
    const omitted = lines.findIndex(({ type }) => type === 'omitted');
    expect(lines[omitted]).toEqual({
      type: 'omitted',
      file: 'data/words.part',
      ...counts,
      codes: { SLOT_BOUNDS: 2005 },
    });
    expect(lines[omitted + 1]).toMatchObject({ type: 'file', file: 'data/words.part' });
    expect(lines.filter(({ type }) => type === 'omitted')).toHaveLength(1);
  });

  test('with all they leave out nothing', async () => {
    expect((await reportOf(text(true), many)).match(/ at block /g)).toHaveLength(3004);
    const lines = jsonLines(await reportOf(json(true), many));
    expect(lines.filter(({ type }) => type === 'finding')).toHaveLength(3004);
    expect(lines.some(({ type }) => type === 'omitted')).toBe(false);
  });
});

describe('github', () => {
  test('prints 10 annotations of each kind, and how many more there are in a plain line', async () => {
    const report = await reportOf(githubReporter, async (one) => {
      for (let block = 1; block <= 300; block++) await one.finding(finding({ severity: 'warning', block }));
      for (let block = 1; block <= 12; block++) await one.finding(finding({ block }));
      await one.finding(finding({ block: 13, count: 500, lastSlot: 502 }));
      await one.file(summary());
    });
    const lines = report.split('\n');
    const kinds = (kind: string): number => lines.filter((line) => line.startsWith(`::${kind} `)).length;
    expect([kinds('error'), kinds('warning')]).toEqual([10, 10]);
    expect(lines.filter((line) => !line.startsWith('::'))).toEqual([
      'artrie-pages verify: 502 errors, 290 warnings more without an annotation (792 SLOT_BOUNDS); GitHub shows at most 10 of each kind for a step. The text format has more',
      expect.stringMatching(/^artrie-pages verify: 1 file, 1 failed/),
      '',
    ]);
  });

  test('one page does not take the annotations of other pages and files', async () => {
    const report = await reportOf(githubReporter, async (one) => {
      await tell(50, { block: 1 })(one);
      await one.finding(finding({ code: 'PAGE_CHECKSUM', block: 1 }));
      await one.file(summary());
      await one.finding(finding({ block: 1, file: 'other.part' }));
      await one.error(new PageStoreError('IO', 'read: input/output error (EIO)', {}), 'other.part');
    });
    const errors = [...report.matchAll(/^::error file=(.*),title=(\w+)::/gm)].map(
      ([, file, code]) => `${file} ${code}`,
    );
    expect(errors).toEqual([
      'data/words.part SLOT_BOUNDS',
      'data/words.part SLOT_BOUNDS',
      'data/words.part PAGE_CHECKSUM',
      'other.part SLOT_BOUNDS',
      'other.part IO',
    ]);
  });
});

interface Log {
  readonly runs: readonly {
    readonly results: readonly { readonly level: string; readonly ruleId: string }[];
    readonly invocations: readonly {
      readonly executionSuccessful: boolean;
      readonly toolExecutionNotifications: readonly object[];
    }[];
  }[];
}

describe('sarif', () => {
  const tool = { name: 't', version: '1.0.0', home: 'https://example.org', findingPages: 'https://example.org/f' };
  const sarif = (output: ReportOutput): Reporter => sarifReporter(output, { tool, windows: false });

  test('has fewer results than code scanning takes, errors among them, and a notification of the others', async () => {
    const report = await reportOf(sarif, async (one) => {
      await tell(9000, { severity: 'info', code: 'SLOT_LOST' })(one);
      await tell(9000, { severity: 'warning', code: 'ENTRY_COUNT' })(one);
      await tell(9000)(one);
      await one.file(summary());
      await tell(50, { file: 'other.part' })(one);
      await one.file(summary({ file: 'other.part' }));
    });
    const [run] = (JSON.parse(report) as Log).runs;
    const { results, invocations } = run!;
    const levels = (level: string): number => results.filter((each) => each.level === level).length;
    // The second file has its first ten.
    expect([levels('error'), levels('warning'), levels('note')]).toEqual([3010, 1000, 1000]);
    expect(invocations[0]).toMatchObject({
      executionSuccessful: true,
      toolExecutionNotifications: [
        {
          descriptor: { id: 'omitted' },
          level: 'warning',
          message: {
            text: '22,040 findings more than code scanning accepts, left out: 8,000 SLOT_LOST, 8,000 ENTRY_COUNT, 6,040 SLOT_BOUNDS',
          },
        },
      ],
    });
  });

  test('is below 10 MB, whatever the names', async () => {
    const report = await reportOf(sarif, async (one) => {
      for (const severity of ['info', 'warning', 'error'] as const)
        await tell(4000, { severity, file: `${'ü/'.repeat(2000)}.part` })(one);
      await one.file(summary());
    });
    expect(Buffer.byteLength(report)).toBeLessThan(10_000_000);
    const { results } = (JSON.parse(report) as Log).runs[0]!;
    for (const level of ['error', 'warning', 'note'])
      expect(results.filter((each) => each.level === level).length).toBeGreaterThan(10);
  });

  test('a group is one result, with the fingerprint of its first slot', async () => {
    const one = await reportOf(sarif, (reporter) => reporter.finding(finding()));
    const group = await reportOf(sarif, (reporter) => reporter.finding(finding({ lastSlot: 9, count: 7 })));
    expect(sarifProblems(group)).toEqual([]);
    const [single, several] = [one, group].map((text) => (JSON.parse(text) as GroupLog).runs[0].results[0]);
    expect(several!.partialFingerprints).toEqual(single!.partialFingerprints);
    expect(several!.locations[0].logicalLocations).toEqual([{ name: '2:3-9', kind: 'slot' }]);
    expect(several!.properties).toMatchObject({ lastSlot: 9, count: 7 });
    expect(several!.message.text).toMatch(/^block 2, slots 3 to 9 \(7 findings\), byte 786400: the first: slot 3 of /);
  });
});

interface GroupLog {
  readonly runs: readonly [
    {
      readonly results: readonly [
        {
          readonly partialFingerprints: object;
          readonly properties: object;
          readonly message: { readonly text: string };
          readonly locations: readonly [{ readonly logicalLocations: readonly object[] }];
        },
      ];
    },
  ];
}
