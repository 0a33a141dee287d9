import { describe, expect, test } from 'vitest';
import { Interrupted } from '../../../src/cli/context.ts';
import { checkFiles, type CheckFilesOptions } from '../../../src/cli/check-files.ts';
import type { Target } from '../../../src/cli/find-files.ts';
import { PageStoreError } from '../../../src/errors.ts';
import type { Severity } from '../../../src/format/problem.ts';
import type { Reporter, Totals } from '../../../src/report/reporter.ts';
import { finding, summary } from '../../support/report.ts';

type Step = Severity | 'done' | 'unreadable' | 'interrupted' | 'thrown' | 'abort' | 'bug';

interface Run {
  readonly totals: Totals;
  /** The calls of the reporter. */
  readonly calls: readonly string[];
  /** Files whose errors were reported on standard error. */
  readonly errors: readonly string[];
}

/** Checks files with scripted results. */
async function run(files: Record<string, readonly Step[]>, failOn: Severity = 'error'): Promise<Run> {
  const calls: string[] = [];
  const errors: string[] = [];
  const abort = new AbortController();
  const reporter: Reporter = {
    begin: async () => void calls.push('begin'),
    finding: async ({ file, severity }) => void calls.push(`${file} ${severity}`),
    file: async ({ file, interrupted }) => void calls.push(`${file} ${interrupted ? 'interrupted' : 'done'}`),
    error: async ({ code }, file) => void calls.push(`${file} ${code}`),
    end: async () => void calls.push('end'),
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
  return { totals, calls, errors };
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
    // A file that could not be read to its end.
    [{ a: ['error', 'unreadable'] }, 'error', 1],
    [{ a: ['warning', 'unreadable'] }, 'error', 3],
    [{ a: ['interrupted'] }, 'error', 130],
    [{ a: ['error', 'interrupted'] }, 'error', 130],
    [{ a: ['error', 'abort', 'thrown'] }, 'error', 130],
    [{ a: ['abort'], b: [] }, 'error', 130],
    // Everything was checked before the abort was noticed.
    [{ a: ['error', 'abort'] }, 'error', 1],
    [{}, 'info', 0],
  ])('of %j with --fail-on %s is %i', async (files, failOn, exit) => {
    expect((await run(files, failOn)).totals.exit).toBe(exit);
  });
});

test('a file that cannot be read is in the report and on standard error, and the others are checked', async () => {
  const { totals, calls, errors } = await run({ a: ['error', 'unreadable'], b: ['warning'] });
  expect(calls).toEqual(['begin', 'a error', 'a IO', 'b warning', 'b done', 'end']);
  expect(errors).toEqual(['a']);
  const counts = { files: 2, failed: 1, unreadable: 1, error: 1, warning: 1, info: 0 };
  expect(totals).toEqual({ ...counts, interrupted: false, unchecked: 0, exit: 1 });
});

test.each<Step>(['interrupted', 'thrown'])(
  'after an interruption (%s) no other file is started, and the report is completed',
  async (step) => {
    const { totals, calls } = await run({ a: [], b: ['error', 'abort', step], c: [], d: [] });
    expect(calls).toEqual(['begin', 'a done', 'b error', 'b interrupted', 'end']);
    expect(totals).toMatchObject({ files: 4, failed: 1, error: 1, interrupted: true, unchecked: 2 });
  },
);

test('an internal error is not an unreadable file', async () => {
  await expect(run({ a: ['bug'] })).rejects.toThrow('a fault');
});

test('an error of a reporter ends the run, even one that a file could have', async () => {
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
