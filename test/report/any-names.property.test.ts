import { oneLine } from '../../src/bytes/text.ts';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PageStoreError } from '../../src/errors.ts';
import { githubReporter } from '../../src/report/github.ts';
import { jsonReporter } from '../../src/report/json.ts';
import { junitReporter } from '../../src/report/junit.ts';
import type { Reporter } from '../../src/report/reporter.ts';
import { sarifReporter } from '../../src/report/sarif.ts';
import { PLAIN } from '../../src/report/reporter.ts';
import { textReporter } from '../../src/report/text.ts';
import { RULES } from '../../src/verify/rules.ts';
import type { Finding } from '../../src/verify/verify.ts';
import { jsonLines } from '../support/cli.ts';
import { finding, junitProblems, readJunit, reportOf, sarifProblems, summary } from '../support/report.ts';

/** Text of any UTF-16 code units, including control characters, special characters of the formats, and lone surrogates. */
const anyText = fc
  .array(
    fc.oneof(
      fc.integer({ min: 0, max: 0x9f }),
      fc.constantFrom(...Array.from('&<>"\'%:,;]\\/\r\n\t-!#{}', (sign) => sign.charCodeAt(0))),
      fc.constantFrom(0x2028, 0x2029, 0xfffe, 0xffff, 0xfeff, 0x85, 0xd800, 0xdbff, 0xdc00, 0xdfff),
      fc.integer({ min: 0, max: 0xffff }),
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((units) => String.fromCharCode(...units));

/** A path as a system can return it, without NUL. */
const anyPath = anyText.map((text) => text.replaceAll('\0', '0'));

const anyFinding = fc.record({
  code: fc.constantFrom(...RULES.map(({ id }) => id)),
  severity: fc.constantFrom('info', 'warning', 'error'),
  message: anyText,
  found: anyText,
  expected: anyText,
  next: anyText,
  slot: fc.option(fc.nat(), { nil: undefined }),
});

interface Told {
  readonly file: string;
  readonly findings: readonly Finding[];
  /** Why the file could not be read to its end; undefined if it could. */
  readonly error: string | undefined;
}

const anyRun = fc.array(
  fc
    .record({
      file: anyPath,
      findings: fc.array(anyFinding, { maxLength: 4 }),
      error: fc.option(anyText, { nil: undefined }),
    })
    .map(({ file, findings, error }): Told => {
      const own = findings.map((each, block) => finding({ ...each, block, file } as Partial<Finding>));
      return { file, findings: own, error };
    }),
  { maxLength: 5 },
);

const tell =
  (run: readonly Told[]) =>
  async (one: Reporter): Promise<void> => {
    for (const { file, findings, error } of run) {
      for (const each of findings) await one.finding(each);
      if (error === undefined) await one.file(summary({ file }));
      else await one.error(new PageStoreError('IO', error, {}), file);
    }
  };

/** Text after encoding it as UTF-8. */
const written = (text: string): string => Buffer.from(text).toString();

const allFindings = (run: readonly Told[]): Finding[] => run.flatMap(({ findings }) => findings);

describe('with any names and messages', () => {
  test('JSON contains all of them', async () => {
    await fc.assert(
      fc.asyncProperty(anyRun, async (run) => {
        const lines = jsonLines(await reportOf(jsonReporter, tell(run)));
        const found = lines.filter(({ type }) => type === 'finding');
        expect(found).toEqual(
          allFindings(run).map((each) => ({ type: 'finding', ...(JSON.parse(JSON.stringify(each)) as object) })),
        );
        expect(lines.at(-1)!['type']).toBe('summary');
      }),
    );
  });

  test('SARIF is valid, and its URIs point to the files', async () => {
    const tool = { name: 't', version: '1.0.0', home: 'https://example.org', findingPages: 'https://example.org/f' };
    await fc.assert(
      fc.asyncProperty(anyRun, async (run) => {
        const text = await reportOf((output) => sarifReporter(output, { tool, windows: false }), tell(run));
        expect(sarifProblems(text)).toEqual([]);
        const [log] = (JSON.parse(text) as { runs: readonly { results: readonly SarifResult[] }[] }).runs;
        const found = allFindings(run);
        expect(log!.results.map(({ ruleId }) => ruleId)).toEqual(found.map(({ code }) => code));
        for (const [index, { message, locations, properties }] of log!.results.entries()) {
          const { file, message: told, next, found: value } = found[index]!;
          expect(message.text).toContain(oneLine(told));
          expect(properties).toMatchObject({ next, found: value });
          const { uri } = locations[0]!.physicalLocation.artifactLocation;
          expect(uri).toMatch(/^[\w\-.!~*'()%/]*$|^file:\/\/\/[\w\-.!~*'()%/]*$/);
          const segments = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');
          expect(segments(decodeURIComponent(uri.replace(/^file:/, '')))).toEqual(segments(written(file)));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('JUnit is well-formed and contains names and texts', async () => {
    await fc.assert(
      fc.asyncProperty(anyRun, async (run) => {
        const options = { failOn: 'info', requireFinalized: true } as const;
        const text = await reportOf((output) => junitReporter(output, options), tell(run));
        const { suites, cases } = readJunit(text);
        expect(suites.map(({ name }) => name)).toEqual(run.map(({ file }) => inXml(file)));
        let firstCase = 0;
        for (const [index, { file, findings, error }] of run.entries()) {
          const own = cases.slice(firstCase, (firstCase += suites[index]!.tests));
          for (const { code, message, next } of findings) {
            const { outcome, text: shown, className } = own.find(({ name }) => name === code)!;
            expect({ outcome, className }).toEqual({ outcome: 'failure', className: inXml(file) });
            for (const part of [message, next]) expect(shown).toContain(inXml(oneLine(part)));
          }
          expect(own.some(({ outcome }) => outcome === 'error')).toBe(error !== undefined);
        }
      }),
    );
  });

  test('JUnit is valid by its schema and for another parser', async () => {
    for (const run of fc.sample(anyRun, { numRuns: 8, seed: 5 })) {
      const options = { failOn: 'warning', requireFinalized: false } as const;
      expect(await junitProblems(await reportOf((output) => junitReporter(output, options), tell(run)))).toEqual([]);
    }
  });

  test('each finding is one workflow command with name and text', async () => {
    await fc.assert(
      fc.asyncProperty(anyRun, async (all) => {
        // With more files there may be more than 10 of a kind.
        const run = all.slice(0, 2);
        const text = await reportOf(githubReporter, tell(run));
        // The runner accepts both characters as the end of a line.
        const lines = text.split(/[\r\n]/);
        const expected = run.flatMap(({ file, findings, error }) => [
          ...findings.map(({ message }) => ({ file: written(file), message })),
          ...(error === undefined ? [] : [{ file: written(file), message: error }]),
        ]);
        expect(lines).toHaveLength(expected.length + 2);
        for (const [index, { file, message }] of expected.entries()) {
          const command = /^::(?:error|warning|notice) file=([^,:]*),title=\w+::(.*)$/u.exec(lines[index]!)!;
          expect(decodeURIComponent(command[1]!)).toBe(file);
          expect(command[1]!).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u);
          expect(command[2]!.replaceAll('%0A', '\n').replaceAll('%25', '%')).toContain(oneLine(message));
        }
      }),
    );
  });

  test('text has a line for each finding, and no control characters except line feeds', async () => {
    await fc.assert(
      fc.asyncProperty(anyRun, async (run) => {
        const text = await reportOf((output) => textReporter(output, { style: PLAIN, withErrors: true }), tell(run));
        expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
        const lines = text.split('\n').filter((line) => line.includes(' at block ') || !line.startsWith('  '));
        expect(lines.length - 1).toBeGreaterThanOrEqual(allFindings(run).length + run.length);
        for (const { file, severity, code } of allFindings(run)) {
          expect(lines.some((line) => line.startsWith(`${oneLine(file)}: ${severity} ${code} at block `))).toBe(true);
        }
      }),
    );
  });
});

interface SarifResult {
  readonly ruleId: string;
  readonly message: { readonly text: string };
  readonly properties: object;
  readonly locations: readonly { readonly physicalLocation: { readonly artifactLocation: { readonly uri: string } } }[];
}

/** Text in which characters that XML 1.0 cannot contain are escaped. */
function inXml(text: string): string {
  let shown = '';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const isControl = code < 0x20 && !['\t', '\n', '\r'].includes(character);
    const isForbidden = isControl || (code >= 0xd800 && code <= 0xdfff) || code === 0xfffe || code === 0xffff;
    shown += isForbidden ? `\\u${code.toString(16).padStart(4, '0')}` : character;
  }
  return shown;
}
