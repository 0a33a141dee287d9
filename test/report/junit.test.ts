import { describe, expect, test } from 'vitest';
import { PageStoreError } from '../../src/errors.ts';
import { junitReporter } from '../../src/report/junit.ts';
import type { Severity } from '../../src/format/problem.ts';
import type { Reporter, ReportOutput } from '../../src/report/reporter.ts';
import { RULES } from '../../src/verify/rules.ts';
import { finding, junitProblems, readJunit, reportOf, summary } from '../support/report.ts';

const unreadable = new PageStoreError('IO', 'open: permission denied (EACCES)', { errno: 'EACCES' });

describe('junit', () => {
  const junit =
    (failOn: Severity, requireFinalized = false) =>
    (output: ReportOutput): Reporter =>
      junitReporter(output, { failOn, requireFinalized });

  test('a file is a suite, and each rule a test case, including those that passed', async () => {
    const report = await reportOf(junit('error'), async (one) => {
      await one.finding(finding());
      await one.finding(finding({ slot: 4 }));
      await one.finding(finding({ severity: 'warning', code: 'ENTRY_COUNT' }));
      await one.file(summary());
      await one.file(summary({ file: 'other.part' }));
    });
    expect(await junitProblems(report)).toEqual([]);
    const { suites, cases } = readJunit(report);
    const counts = { tests: RULES.length, errors: 0, skipped: 1 };
    expect(suites).toEqual([
      { name: 'data/words.part', failures: 1, ...counts },
      { name: 'other.part', failures: 0, ...counts },
    ]);
    const ids = RULES.map(({ id }) => id);
    expect(cases.map(({ name }) => name)).toEqual([...ids, ...ids]);
    const [slots, entries] = ['SLOT_BOUNDS', 'ENTRY_COUNT'].map((id) => cases.find(({ name }) => name === id));
    expect(slots).toMatchObject({ outcome: 'failure', className: 'data/words.part' });
    expect(slots!.text.match(/^data\/words\.part: error SLOT_BOUNDS at block 2:[34], /gm)).toHaveLength(2);
    expect(slots!.text).toContain('\n  next: artrie-pages dump data/words.part --block 2');
    // Findings below --fail-on are written, but no failures.
    expect(entries).toMatchObject({ outcome: 'passed' });
    expect(entries!.text).toMatch(/^data\/words\.part: warning ENTRY_COUNT at /);
  });

  test.each([
    ['info', ['failure', 'failure', 'failure']],
    ['warning', ['passed', 'failure', 'failure']],
    ['error', ['passed', 'passed', 'failure']],
  ] as const)('with --fail-on %s, findings of info, warning and error are %j', async (failOn, outcomes) => {
    const codes = ['COMMIT_RECORD', 'ENTRY_COUNT', 'PAGE_CHECKSUM'] as const;
    const report = await reportOf(junit(failOn), async (one) => {
      for (const [index, severity] of (['info', 'warning', 'error'] as const).entries()) {
        await one.finding(finding({ severity, code: codes[index]! }));
      }
      await one.file(summary());
    });
    const { cases } = readJunit(report);
    expect(codes.map((code) => cases.find(({ name }) => name === code)?.outcome)).toEqual(outcomes);
  });

  test('of many findings of a rule, 100 are written, and the number of others', async () => {
    const report = await reportOf(junit('error'), async (one) => {
      for (let slot = 0; slot < 2500; slot++) await one.finding(finding({ slot }));
      await one.file(summary());
    });
    const failure = readJunit(report).cases.find(({ outcome }) => outcome === 'failure');
    expect(failure!.text.match(/SLOT_BOUNDS/g)).toHaveLength(100);
    expect(failure!.text).toMatch(/\nand 2400 more$/);
    expect(report).toContain('message="2,500 findings: a slot points outside the node area"');
  });

  test('a group of findings counts as all of them, also where it is not written', async () => {
    const report = await reportOf(junit('error'), async (one) => {
      for (let group = 0; group < 101; group++)
        await one.finding(finding({ slot: 9 * group, lastSlot: 9 * group + 6, count: 7 }));
      await one.file(summary());
    });
    expect(report).toContain('message="707 findings: a slot points outside the node area"');
    expect(readJunit(report).cases.find(({ outcome }) => outcome === 'failure')!.text).toMatch(/\nand 7 more$/);
  });

  test('a file that cannot be read is an error, after the findings so far', async () => {
    const report = await reportOf(junit('error'), async (one) => {
      await one.finding(finding());
      await one.error(unreadable, 'data/words.part');
      await one.file(summary({ file: 'other.part' }));
    });
    expect(await junitProblems(report)).toEqual([]);
    const { suites, cases } = readJunit(report);
    expect(suites[0]).toEqual({ name: 'data/words.part', tests: 2, failures: 1, errors: 1, skipped: 0 });
    expect(suites[1]).toMatchObject({ failures: 0, errors: 0 });
    expect(cases.slice(0, 2).map(({ name, outcome }) => [name, outcome])).toEqual([
      ['SLOT_BOUNDS', 'failure'],
      ['readable', 'error'],
    ]);
  });

  test('a rule that was not checked to the end is skipped, not passed', async () => {
    const report = await reportOf(
      junit('error', true),
      async (one) => {
        await one.file(summary({ file: 'changed.part', changed: true }));
        await one.file(summary({ file: 'cut.part', interrupted: true }));
      },
      { interrupted: true, unchecked: 3 },
    );
    expect(await junitProblems(report)).toEqual([]);
    const { suites } = readJunit(report);
    expect(suites.map(({ name, tests, skipped, errors }) => [name, tests - skipped, errors])).toEqual([
      ['changed.part', RULES.length - 8, 0],
      ['cut.part', 0, 0],
      ['artrie-pages verify', 1, 1],
    ]);
    expect(report).toContain('interrupted: 3 files not checked');
  });
});
