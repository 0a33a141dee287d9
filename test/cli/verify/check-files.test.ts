import { describe, expect, test } from 'vitest';
import { Interrupted } from '../../../src/cli/context.ts';
import { checkFiles, type CheckFilesOptions } from '../../../src/cli/check-files.ts';
import type { Target } from '../../../src/cli/find-files.ts';
import { PageStoreError } from '../../../src/errors.ts';
import type { Reporter, Severity, Totals } from '../../../src/report/reporter.ts';
import { finding, summary } from '../../support/report.ts';

type Step = Severity | 'done' | 'unreadable' | 'interrupted' | 'thrown' | 'abort' | 'bug';

interface Run {
  readonly totals: Totals;
  /** What the reporter heard. */
  readonly told: readonly string[];
  /** Files whose errors were told beside the report. */
  readonly errors: readonly string[];
}

/** Checks files that do what their steps say. */
async function run(files: Record<string, readonly Step[]>, failOn: Severity = 'error'): Promise<Run> {
  const told: string[] = [];
  const errors: string[] = [];
  const abort = new AbortController();
  const reporter: Reporter = {
    begin: async () => void told.push('begin'),
    finding: async ({ file, severity }) => void told.push(`${file} ${severity}`),
    file: async ({ file, interrupted }) => void told.push(`${file} ${interrupted ? 'interrupted' : 'done'}`),
    error: async ({ code }, file) => void told.push(`${file} ${code}`),
    end: async () => void told.push('end'),
  };
  const check: CheckFilesOptions['check'] = async ({ path }, report) => {
    for (const step of files[path]!) {
      if (step === 'unreadable') throw new PageStoreError('IO', 'read: input/output error (EIO)', { file: path });
      if (step === 'bug') throw new TypeError('a fault');
      if (step === 'abort') abort.abort(new Interrupted('SIGINT'));
      if (step === 'thrown') throw new Interrupted('SIGINT');
      if (step === 'interrupted') return summary({ file: path, interrupted: true });
      if (step === 'error' || step === 'warning' || step === 'info')
        await report(finding({ file: path, severity: step }));
    }
    return summary({ file: path });
  };
  const totals = await checkFiles(
    Object.keys(files).map((path): Target => ({ path, bytes: 0 })),
    {
      reporters: [reporter],
      failOn,
      signal: abort.signal,
      check,
      onFile: async () => undefined,
      onFileEnd: async () => undefined,
      onError: async (_, file) => void errors.push(file),
    },
  );
  return { totals, told, errors };
}

describe('the exit code', () => {
  test.each<[Record<string, readonly Step[]>, Severity, number]>([
    [{ a: [] }, 'info', 0],
    [{ a: ['info'] }, 'info', 1],
    [{ a: ['info'] }, 'warning', 0],
    [{ a: ['warning'] }, 'warning', 1],
    [{ a: ['warning'] }, 'error', 0],
    [{ a: ['error'] }, 'error', 1],
    [{ a: ['error'], b: [] }, 'error', 1],
    [{ a: ['unreadable'] }, 'error', 3],
    [{ a: ['unreadable'], b: [] }, 'error', 3],
    [{ a: ['unreadable'], b: ['error'] }, 'error', 1],
    [{ a: ['error'], b: ['unreadable'] }, 'error', 1],
    // A file that could not be read on after the finding.
    [{ a: ['error', 'unreadable'] }, 'error', 1],
    [{ a: ['warning', 'unreadable'] }, 'error', 3],
    [{ a: ['interrupted'] }, 'error', 130],
    [{ a: ['error', 'interrupted'] }, 'error', 130],
    [{ a: ['error', 'abort', 'thrown'] }, 'error', 130],
    [{ a: ['abort'], b: [] }, 'error', 130],
    // All was checked before anybody could be heard.
    [{ a: ['error', 'abort'] }, 'error', 1],
    [{}, 'info', 0],
  ])('of %j with --fail-on %s is %i', async (files, failOn, exit) => {
    expect((await run(files, failOn)).totals.exit).toBe(exit);
  });
});

test('a file that cannot be read is told of in the report and beside it, and the others are checked', async () => {
  const { totals, told, errors } = await run({ a: ['error', 'unreadable'], b: ['warning'] });
  expect(told).toEqual(['begin', 'a error', 'a IO', 'b warning', 'b done', 'end']);
  expect(errors).toEqual(['a']);
  const counts = { files: 2, failed: 1, unreadable: 1, error: 1, warning: 1, info: 0 };
  expect(totals).toEqual({ ...counts, interrupted: false, unchecked: 0, exit: 1 });
});

test.each<Step>(['interrupted', 'thrown'])(
  'after an interruption (%s) no file is begun, and the report is completed',
  async (step) => {
    const { totals, told } = await run({ a: [], b: ['error', 'abort', step], c: [], d: [] });
    expect(told).toEqual(['begin', 'a done', 'b error', 'b interrupted', 'end']);
    expect(totals).toMatchObject({ files: 4, failed: 1, error: 1, interrupted: true, unchecked: 2 });
  },
);

test('a fault of the program is no unreadable file', async () => {
  await expect(run({ a: ['bug'] })).rejects.toThrow('a fault');
});

test('a report that fails ends the run, also with an error that a file could have', async () => {
  const { signal } = new AbortController();
  const checked: string[] = [];
  const failing: Reporter = {
    begin: async () => undefined,
    finding: () => Promise.reject(new PageStoreError('IO', 'write failed (ENOSPC)', { file: 'report' })),
    file: async () => undefined,
    error: async () => undefined,
    end: async () => undefined,
  };
  const running = checkFiles(
    ['a', 'b'].map((path) => ({ path, bytes: 0 })),
    {
      reporters: [failing],
      failOn: 'error',
      signal,
      check: async ({ path }, report) => {
        checked.push(path);
        await report(finding());
        return summary();
      },
      onFile: async () => undefined,
      onFileEnd: async () => undefined,
      onError: async () => undefined,
    },
  );
  await expect(running).rejects.toMatchObject({ code: 'IO', detail: { file: 'report' } });
  expect(checked).toEqual(['a']);
});
