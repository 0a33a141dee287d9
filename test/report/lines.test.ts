import { describe, expect, test } from 'vitest';
import { PageStoreError } from '../../src/errors.ts';
import { githubReporter } from '../../src/report/github.ts';
import { jsonReporter } from '../../src/report/json.ts';
import { jsonLines } from '../support/cli.ts';
import { finding, reportOf, summary } from '../support/report.ts';

const unreadable = new PageStoreError('IO', 'open: permission denied (EACCES)', { errno: 'EACCES' });

describe('json', () => {
  test('a finding has all its fields, the summary all totals', async () => {
    const one = finding({ flippedBit: { offset: 786_401, bit: 3 } });
    const [first, last] = jsonLines(await reportOf(jsonReporter, (reporter) => reporter.finding(one)));
    expect(first).toEqual({ type: 'finding', ...one });
    expect(Object.keys(last!)).toEqual([
      'type',
      'schema',
      'command',
      'files',
      'failed',
      'unreadable',
      'error',
      'warning',
      'info',
      'interrupted',
      'unchecked',
      'exit',
    ]);
  });
});

describe('github', () => {
  test('each severity has its command, and characters that end a property or the text are escaped', async () => {
    const report = await reportOf(githubReporter, async (one) => {
      for (const severity of ['error', 'warning', 'info'] as const) {
        await one.finding(finding({ severity, file: '100%, a:b\n::error::c.part', message: '50%\r\n', found: 'x' }));
      }
    });
    const lines = report.split('\n');
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['::error', '::warning', '::notice', 'artrie-pages', '']);
    expect(lines[0]).toBe(
      '::error file=100%25%2C a%3Ab%0A%3A%3Aerror%3A%3Ac.part,title=SLOT_BOUNDS::block 2:3, byte 786400: 50%25\\r\\n%0A' +
        'found x, expected at most 4096%0Anext: artrie-pages dump data/words.part --block 2',
    );
  });

  test('file names are only in lines that are commands', async () => {
    const report = await reportOf(githubReporter, async (one) => {
      await one.error(unreadable, '##[error]x');
      await one.file(summary({ file: '##[error]y', interrupted: true }));
      await one.file(summary({ file: '##[error]z' }));
    });
    for (const line of report.split('\n')) expect(line.startsWith('::') || !line.includes('##[')).toBe(true);
  });
});
