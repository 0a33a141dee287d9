import { escaped, oneLine } from '../bytes/text.ts';
import type { Severity } from '../format/problem.ts';
import { RULES } from '../verify/rules.ts';
import type { VerifyReport } from '../verify/verify.ts';
import {
  countOf,
  detailLines,
  type FindingGroup,
  isAtLeast,
  messageText,
  placeText,
  type Reporter,
  type ReportOutput,
} from './reporter.ts';
import { plural } from './text.ts';

/** XML 1.0 forbids these even as references: most control characters, lone surrogates, two more. */
// oxlint-disable-next-line no-control-regex -- these characters are meant
const FORBIDDEN = /[\p{Cs}\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/gu;
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

const reference = (character: string): string => ENTITIES[character] ?? `&#${character.charCodeAt(0)};`;

/** A parser would replace a raw carriage return; a terminal would obey the other control characters. */
function xmlText(text: string, special: RegExp = /[&<>\r\u007f-\u009f\p{Zl}\p{Zp}\p{Bidi_Control}]/gu): string {
  return text.replace(FORBIDDEN, escaped).replace(special, reference);
}

/** In attribute values, a parser would also replace raw line feeds and tabs. */
function xmlAttributes(values: Readonly<Record<string, string | number>>): string {
  const attributes = Object.entries(values).map(
    ([name, value]) =>
      ` ${name}="${xmlText(String(value), /[&<>"\t\n\r\u007f-\u009f\p{Zl}\p{Zp}\p{Bidi_Control}]/gu)}"`,
  );
  return attributes.join('');
}

export interface JunitOptions {
  /** Findings below this do not fail their test case. */
  readonly failOn: Severity;
  /** If false, the test case of that rule is skipped. */
  readonly requireFinalized: boolean;
}

/** Findings per test case that are written in full: a suite is in memory until it is complete. */
const MAX_TEXTS = 100;

/** Rules that need all blocks at one moment. */
const NEEDS_UNCHANGED_FILE: ReadonlySet<string> = new Set([
  'FREE_LIST_LINK',
  'FREE_LIST_CYCLE',
  'BLOCK_UNKNOWN',
  'BLOCK_UNWRITTEN',
  'FILE_HEADER_OLD',
  'PAGES_DIGEST',
  'DIGEST_FOREIGN',
  'ENTRY_COUNT',
]);

class Texts {
  /** Of single findings. */
  count = 0;
  #written = 0;
  readonly #texts: string[] = [];

  add(finding: FindingGroup): void {
    this.count += countOf(finding);
    if (this.#texts.length >= MAX_TEXTS) return;
    this.#written += countOf(finding);
    this.#texts.push(findingText(finding));
  }

  get text(): string {
    const more = this.count - this.#written;
    return [...this.#texts, ...(more > 0 ? [`and ${more} more`] : [])].join('\n');
  }
}

class Suite {
  readonly #failures = new Map<string, Texts>();
  readonly #notes = new Map<string, Texts>();

  add(finding: FindingGroup, failOn: Severity): void {
    const group = isAtLeast(finding.severity, failOn) ? this.#failures : this.#notes;
    const texts = group.get(finding.code) ?? new Texts();
    group.set(finding.code, texts);
    texts.add(finding);
  }

  /** @param skipped - returns why a rule without findings was not completely checked, undefined if it was */
  *cases(file: string, skipped: (id: string) => string | undefined): Generator<TestCase> {
    for (const { id, summary } of RULES) {
      const failures = this.#failures.get(id);
      const notes = this.#notes.get(id);
      const reason = failures || notes ? undefined : skipped(id);
      const output = notes ? `<system-out>${xmlText(notes.text)}</system-out>` : '';
      if (failures) {
        const message = `${plural(failures.count, 'finding')}: ${summary}`;
        const body = `<failure${xmlAttributes({ type: id, message })}>${xmlText(failures.text)}</failure>`;
        yield { file, name: id, outcome: 'failed', body: body + output };
      } else if (reason === undefined) {
        yield { file, name: id, outcome: 'passed', body: output };
      } else {
        yield { file, name: id, outcome: 'skipped', body: `<skipped${xmlAttributes({ message: reason })}/>` };
      }
    }
  }
}

interface TestCase {
  readonly file: string;
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped' | 'error';
  readonly body: string;
}

/**
 * A JUnit report: a suite per file, a test case per rule, passed ones included. At most {@link MAX_TEXTS} findings per
 * rule are in memory.
 */
export function junitReporter(output: ReportOutput, { failOn, requireFinalized }: JunitOptions): Reporter {
  let suite = new Suite();
  const finish = async (name: string, cases: readonly TestCase[]): Promise<void> => {
    suite = new Suite();
    await output.write(suiteXml(name, cases));
  };
  return {
    begin: () => output.write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="artrie-pages verify">\n'),
    finding: async (finding) => suite.add(finding, failOn),
    file(summary) {
      const cases = suite.cases(summary.file, (id) => whyNotChecked(id, summary, requireFinalized));
      return finish(summary.file, [...cases]);
    },
    error({ code, message }, file) {
      const found = [...suite.cases(file, () => 'not checked')].filter(({ outcome }) => outcome !== 'skipped');
      return finish(file, [...found, errorCase(file, 'readable', code, message)]);
    },
    async end({ interrupted, unchecked }) {
      if (interrupted) {
        const message = `interrupted: ${unchecked === 0 ? 'a file was not checked to its end' : `${plural(unchecked, 'file')} not checked`}`;
        const name = 'artrie-pages verify';
        await finish(name, [errorCase(name, 'all files are checked', 'interrupted', message)]);
      }
      await output.write('</testsuites>\n');
    },
  };
}

/** @returns undefined if the rule has passed */
function whyNotChecked(
  id: string,
  { interrupted, changed }: VerifyReport,
  requireFinalized: boolean,
): string | undefined {
  if (id === 'PAGE_NOT_FINALIZED' && !requireFinalized) return 'only with --require-finalized';
  if (interrupted) return 'interrupted before the last block';
  if (changed && NEEDS_UNCHANGED_FILE.has(id)) return 'a writer was at work';
  return undefined;
}

function errorCase(file: string, name: string, type: string, message: string): TestCase {
  const text = oneLine(message);
  const body = `<error${xmlAttributes({ type, message: text })}>${xmlText(`${oneLine(file)}: ${text}`)}</error>`;
  return { file, name, outcome: 'error', body };
}

function suiteXml(name: string, cases: readonly TestCase[]): string {
  const count = (outcome: TestCase['outcome']): number => cases.filter((each) => each.outcome === outcome).length;
  const [failures, errors, skipped] = [count('failed'), count('error'), count('skipped')];
  const attributes = xmlAttributes({ name, tests: cases.length, failures, errors, skipped });
  return `  <testsuite${attributes}>\n${cases.map(caseXml).join('')}  </testsuite>\n`;
}

function caseXml({ file, name, body }: TestCase): string {
  const attributes = xmlAttributes({ name, classname: file });
  return body === '' ? `    <testcase${attributes}/>\n` : `    <testcase${attributes}>${body}</testcase>\n`;
}

function findingText(finding: FindingGroup): string {
  const first = `${finding.file}: ${finding.severity} ${finding.code} at ${placeText(finding)}: ${messageText(finding)}`;
  const rest = [...detailLines(finding), `next: ${finding.next}`].map((line) => `  ${oneLine(line)}`);
  return [oneLine(first), ...rest].join('\n');
}
