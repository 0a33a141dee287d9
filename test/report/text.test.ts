import { describe, expect, test } from 'vitest';
import { PageStoreError } from '../../src/errors.ts';
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
        '  flipped bit: bit 3 of byte 786401\n',
    );
  });

  test('found, expected and bit are left out if the message contains them', async () => {
    const message = '262200 is not at most 4096: bit 3 of byte 786401';
    const told = finding({ message, flippedBit: { offset: 786_401, bit: 3 } });
    expect((await reportOf(text, (one) => one.finding(told))).split('\n')).toEqual([
      expect.stringContaining(message),
      '',
    ]);
  });

  test('the command to begin with is printed once, after the line of the file', async () => {
    const report = await reportOf(text, async (one) => {
      for (const slot of [3, 4, 5]) await one.finding(finding({ slot, next: `artrie-pages dump ${slot}` }));
      await one.file(summary({ next: 'artrie-pages repair --dry-run data/words.part' }));
      await one.file(summary({ file: 'other.part', findings: { info: 1, warning: 0, error: 0 } }));
    });
    const lines = report.split('\n').slice(6);
    expect(lines).toEqual([
      expect.stringMatching(/^data\/words\.part: damaged /),
      '  next: artrie-pages repair --dry-run data/words.part',
      expect.stringMatching(/^other\.part: ok /),
      '',
    ]);
    expect(report.match(/next:/g)).toHaveLength(1);
  });

  test('a line at the end is about all files, where there are several', async () => {
    const tell = async (one: Reporter): Promise<void> => {
      await one.file(summary({ findings: { info: 0, warning: 1, error: 1234 } }));
      for (const file of ['b', 'c']) await one.file(summary({ file, findings: { info: 2, warning: 0, error: 0 } }));
      await one.file(summary({ file: 'd', findings: { info: 0, warning: 1, error: 0 } }));
      await one.error(new PageStoreError('IO', 'open: permission denied (EACCES)', {}), 'e');
    };
    const counts = { error: 1234, warning: 2, info: 4, unreadable: 1 };
    expect((await reportOf(text, tell, { ...counts, files: 5 })).split('\n').at(-2)).toBe(
      '5 files: 1 damaged, 1 unreadable, 1 doubtful, 2 ok; 1,234 errors, 2 warnings, 4 info',
    );
    const cut = await reportOf(text, tell, { ...counts, files: 7, interrupted: true, unchecked: 2 });
    expect(cut.split('\n').slice(-3)).toEqual([
      '7 files: 1 damaged, 1 unreadable, 1 doubtful, 2 ok, 2 not checked; 1,234 errors, 2 warnings, 4 info',
      'interrupted: 2 files not checked',
      '',
    ]);
    const one = await reportOf(text, (reporter) => reporter.file(summary()), { files: 1 });
    expect(one.split('\n')).toHaveLength(2);
  });

  test('an info finding is one line', async () => {
    expect(await reportOf(text, (one) => one.finding(finding({ severity: 'info' })))).toMatch(/^[^\n]+\n$/);
  });

  test('only severity, verdict and next command are coloured', async () => {
    const tell = async (one: Reporter): Promise<void> => {
      await one.finding(finding());
      await one.file(summary({ next: 'artrie-pages dump data/words.part' }));
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
