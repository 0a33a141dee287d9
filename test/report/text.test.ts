import { describe, expect, test } from 'vitest';
import type { Reporter, ReportOutput } from '../../src/report/reporter.ts';
import { COLOR, PLAIN } from '../../src/report/reporter.ts';
import { textReporter } from '../../src/report/text.ts';
import { finding, reportOf, summary } from '../support/report.ts';

describe('text', () => {
  const text = (output: ReportOutput): Reporter => textReporter(output, { style: PLAIN, withErrors: true });

  test('a finding is a line, with details on indented lines below', async () => {
    const report = await reportOf(text, async (one) => {
      await one.finding(finding({ flippedBit: { offset: 786_401, bit: 3 } }));
    });
    expect(report).toBe(
      'data/words.part: error SLOT_BOUNDS at block 2:3, byte 786400: slot 3 of page 2 ends at byte 262200, past the node area\n' +
        '  found 262200, expected at most 4096\n' +
        '  flipped bit: bit 3 of byte 786401\n' +
        '  next: artrie-pages dump data/words.part --block 2\n',
    );
  });

  test('found, expected and bit are left out if the message contains them', async () => {
    const message = '262200 is not at most 4096: bit 3 of byte 786401';
    const told = finding({ message, flippedBit: { offset: 786_401, bit: 3 } });
    expect((await reportOf(text, (one) => one.finding(told))).split('\n')).toEqual([
      expect.stringContaining(message),
      '  next: artrie-pages dump data/words.part --block 2',
      '',
    ]);
  });

  test('the next command is printed once for consecutive findings that share it, and again for the next file', async () => {
    const report = await reportOf(text, async (one) => {
      for (const slot of [3, 4, 5]) await one.finding(finding({ slot }));
      await one.file(summary());
      await one.finding(finding({ slot: 6 }));
    });
    const lines = report.split('\n').map((line) => line.slice(0, 7));
    expect(lines).toEqual([
      'data/wo',
      '  found',
      '  next:',
      'data/wo',
      '  found',
      'data/wo',
      '  found',
      'data/wo',
      'data/wo',
      '  found',
      '  next:',
      '',
    ]);
  });

  test('an info finding is one line', async () => {
    expect(await reportOf(text, (one) => one.finding(finding({ severity: 'info' })))).toMatch(/^[^\n]+\n$/);
  });

  test('only severity, verdict and next command are coloured', async () => {
    const tell = async (one: Reporter): Promise<void> => {
      await one.finding(finding());
      await one.file(summary());
    };
    const colored = await reportOf((output) => textReporter(output, { style: COLOR, withErrors: true }), tell);
    expect(colored.split('\u001b[').length - 1).toBe(6);
    // oxlint-disable-next-line no-control-regex -- escape sequences start with it
    expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(await reportOf(text, tell));
  });

  test.each<[Partial<Parameters<typeof summary>[0]>, string]>([
    [{ findings: { info: 5, warning: 0, error: 0 } }, 'ok (0 errors, 0 warnings, 5 info)'],
    [{ findings: { info: 0, warning: 1, error: 0 } }, 'doubtful (0 errors, 1 warning, 0 info)'],
    [{ findings: { info: 0, warning: 1, error: 2 }, interrupted: true }, 'damaged (2 errors, 1 warning, 0 info)'],
    [{ findings: { info: 0, warning: 0, error: 0 }, interrupted: true }, 'unfinished (0 errors, 0 warnings, 0 info)'],
  ])('the verdict of %j is %s', async (change, verdict) => {
    const report = await reportOf(text, (one) => one.file(summary(change)));
    expect(report).toContain(`data/words.part: ${verdict}; `);
    expect(report.includes('interrupted')).toBe(change?.interrupted === true);
  });
});
