import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import formats from 'ajv-formats';
import { SaxesParser } from 'saxes';
import { validateXML } from 'xmllint-wasm';
import type { FindingGroup, Reporter, ReportOutput, Totals } from '../../src/report/reporter.ts';
import type { VerifyReport } from '../../src/verify/verify.ts';
import { FIXTURES } from './files.ts';

const SCHEMAS = join(FIXTURES, 'schemas');

/** The path of a file with an expected report. */
export const reportPath = (name: string): string => join(FIXTURES, 'reports', name);

/** An output that keeps the bytes that a file would contain. */
export class TextOutput implements ReportOutput {
  readonly #chunks: Buffer[] = [];

  get text(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  async write(text: string): Promise<void> {
    this.#chunks.push(Buffer.from(text));
  }
}

/** A finding with every field; its values are made up. */
export function finding(change: Partial<FindingGroup> = {}): FindingGroup {
  return {
    code: 'SLOT_BOUNDS',
    severity: 'error',
    message: 'slot 3 of page 2 ends at byte 262200, past the node area',
    file: 'data/words.part',
    block: 2,
    slot: 3,
    offset: 786_400,
    bytes: 8,
    found: '262200',
    expected: 'at most 4096',
    next: 'artrie-pages dump data/words.part --block 2',
    ...change,
  };
}

export function summary(change: Partial<VerifyReport> = {}): VerifyReport {
  return {
    ok: false,
    file: 'data/words.part',
    bytes: 1_048_576,
    blocks: 4,
    pages: 2,
    freeBlocks: 1,
    unwrittenBlocks: 0,
    nodes: 1234,
    lostSlots: 0,
    digest: 'matches',
    changed: false,
    findings: { info: 0, warning: 0, error: 1 },
    interrupted: false,
    ...change,
  };
}

export function totals(change: Partial<Totals> = {}): Totals {
  const counts = { files: 1, failed: 1, unreadable: 0, error: 1, warning: 0, info: 0 };
  return { ...counts, interrupted: false, unchecked: 0, exit: 1, ...change };
}

/** The report that a reporter writes. */
export async function reportOf(
  make: (output: ReportOutput) => Reporter,
  tell: (reporter: Reporter) => Promise<void>,
  end: Partial<Totals> = {},
): Promise<string> {
  const output = new TextOutput();
  const reporter = make(output);
  await reporter.begin();
  await tell(reporter);
  await reporter.end(totals(end));
  return output.text;
}

let sarifValidator: ValidateFunction | undefined;

/** Errors of a log by the published schema of SARIF 2.1.0. */
export function sarifProblems(text: string): string[] {
  if (sarifValidator === undefined) {
    // One pattern of the schema is not a valid Unicode regular expression.
    const ajv = new Ajv({ allErrors: true, strict: false, unicodeRegExp: false });
    formats.default(ajv);
    sarifValidator = ajv.compile(JSON.parse(readFileSync(join(SCHEMAS, 'sarif-2.1.0.json'), 'utf8')) as object);
  }
  sarifValidator(JSON.parse(text));
  return (sarifValidator.errors ?? []).map(({ instancePath, message = '' }) => `${instancePath}: ${message}`);
}

/** Errors of a JUnit report by the schema of Jenkins. */
export async function junitProblems(text: string): Promise<string[]> {
  const schema = readFileSync(join(SCHEMAS, 'junit-10.xsd'), 'utf8');
  const { errors } = await validateXML({ xml: text, schema, initialMemoryPages: 256, maxMemoryPages: 4096 });
  return errors.map(({ message }) => message);
}

export interface JunitCase {
  readonly suite: string;
  readonly name: string;
  readonly className: string;
  /** `passed`, or the name of the element for another outcome. */
  readonly outcome: 'passed' | 'failure' | 'error' | 'skipped';
  /** The text of that element, or the output of a passed test case. */
  readonly text: string;
}

export interface JunitSuite {
  readonly name: string;
  readonly tests: number;
  readonly failures: number;
  readonly errors: number;
  readonly skipped: number;
}

/** Reads a JUnit report with a parser that accepts well-formed XML only. */
export function readJunit(text: string): { suites: JunitSuite[]; cases: JunitCase[] } {
  const suites: JunitSuite[] = [];
  const cases: JunitCase[] = [];
  let open: { -readonly [K in keyof JunitCase]: JunitCase[K] } | undefined;
  const parser = new SaxesParser();
  parser.on('opentag', ({ name, attributes }) => {
    const number = (key: string): number => Number(attributes[key]);
    if (name === 'testsuite') {
      const counts = { failures: number('failures'), errors: number('errors'), skipped: number('skipped') };
      suites.push({ name: attributes['name'] ?? '', tests: number('tests'), ...counts });
    } else if (name === 'testcase') {
      const suite = suites.at(-1)?.name ?? '';
      const className = attributes['classname'] ?? '';
      open = { suite, name: attributes['name'] ?? '', className, outcome: 'passed', text: '' };
      cases.push(open);
    } else if (open && (name === 'failure' || name === 'error' || name === 'skipped')) open.outcome = name;
  });
  parser.on('text', (chunk) => {
    if (open) open.text += chunk;
  });
  parser.on('closetag', ({ name }) => {
    if (name === 'testcase') open = undefined;
  });
  parser.on('error', (error) => {
    throw error;
  });
  parser.write(text).close();
  return { suites, cases };
}
