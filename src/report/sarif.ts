import { fnv1a64 } from '../bytes/checksum.ts';
import { oneLine, printableJson } from '../bytes/text.ts';
import type { Severity } from '../format/problem.ts';
import { RULES } from '../verify/rules.ts';
import { codesText, FindingLimit, omittedCount } from './limit.ts';
import { type FindingGroup, findingLines, type Reporter, type ReportOutput, type Tool } from './reporter.ts';
import { plural } from './text.ts';

/** A URI reference (RFC 3986). A relative path stays relative, to be valid on other machines. */
export function fileUri(path: string, windows: boolean): string {
  const slashed = windows ? path.replaceAll('\\', '/') : path;
  const drive = windows ? (/^[A-Za-z]:(?=\/)/.exec(slashed)?.[0] ?? '') : '';
  // In `//server/share/file`, the server is the authority.
  const isShare = windows && slashed.startsWith('//');
  const isAbsolute = drive !== '' || slashed.startsWith('/');
  const segments = slashed
    .slice(drive.length)
    .split('/')
    .filter((segment) => segment !== '' && segment !== '.')
    // Replaces lone surrogates, which encodeURIComponent refuses.
    .map((segment) => encodeURIComponent(Buffer.from(segment).toString()));
  if (drive !== '') segments.unshift(drive);
  if (isAbsolute) return `file://${isShare ? '' : '/'}${segments.join('/')}`;
  // An empty reference would mean the report itself.
  return segments.length === 0 ? './' : segments.join('/');
}

interface SarifOptions {
  readonly tool: Tool;
  readonly windows: boolean;
}

const SCHEMA = 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';
const LEVEL: Readonly<Record<Severity, string>> = { info: 'note', warning: 'warning', error: 'error' };
const RULE_INDEX = new Map(RULES.map(({ id }, index) => [id, index]));

/**
 * GitHub refuses a run of more than 25,000 results and a log of more than 10 MB (compressed), and shows 5,000 results of a
 * run. As results are written at once, each severity has a part of that to itself, and so has each file: one must not hide
 * others.
 */
const LIMITS = { error: 3000, warning: 1000, info: 1000, ofEachCode: 10, ofCodeInBlock: 100 };
/** Bytes of results. Their sum is below 10 MB, however badly names compress, and too little for 25,000 results. */
const MAX_BYTES: Readonly<Record<Severity, number>> = { error: 6_000_000, warning: 1_500_000, info: 1_000_000 };

/** SARIF 2.1.0, in one run. Findings are written at once; memory holds an entry per file. */
export function sarifReporter(output: ReportOutput, { tool, windows }: SarifOptions): Reporter {
  const artifacts: object[] = [];
  const notifications: object[] = [];
  const limit = new FindingLimit(LIMITS);
  const written = { error: 0, warning: 0, info: 0 };
  /** Files that were not checked to their end. */
  let incomplete = 0;
  let separator = '';
  const location = (file: string): object => ({ uri: fileUri(file, windows) });
  const notify = (id: string, text: string, file?: string): void => {
    incomplete++;
    const locations = file === undefined ? undefined : [{ physicalLocation: { artifactLocation: location(file) } }];
    notifications.push({ descriptor: { id }, level: 'error', message: { text }, locations });
  };
  return {
    async begin() {
      const head = JSON.stringify({ $schema: SCHEMA, version: '2.1.0' }).slice(0, -1);
      await output.write(`${head},"runs":[{"tool":${JSON.stringify({ driver: driver(tool) })},"results":[`);
    },
    async finding(finding) {
      const { severity } = finding;
      if (!limit.admits(finding, written[severity] >= MAX_BYTES[severity])) return;
      const text = printableJson(JSON.stringify(result(finding, fileUri(finding.file, windows))));
      written[severity] += Buffer.byteLength(text);
      await output.write(`${separator}\n${text}`);
      separator = ',';
    },
    async file({ file, bytes, interrupted }) {
      limit.nextFile();
      artifacts.push({ location: location(file), length: bytes, roles: ['analysisTarget'] });
      if (interrupted) notify('interrupted', `${oneLine(file)}: interrupted before the last block was checked`, file);
    },
    async error({ code, message }, file) {
      limit.nextFile();
      notify(code, oneLine(`${file}: ${message}`), file);
    },
    async end({ exit, interrupted, unchecked }) {
      if (interrupted && unchecked > 0) notify('interrupted', `${plural(unchecked, 'file')} not checked`);
      // A run that finds damage is successful; one that could not check a file is not.
      const executionSuccessful = incomplete === 0;
      const { omitted } = limit;
      if (omitted) {
        const text = `${plural(omittedCount(omitted), 'finding')} more than code scanning accepts, left out: ${codesText(omitted)}`;
        notifications.push({ descriptor: { id: 'omitted' }, level: 'warning', message: { text } });
      }
      const invocation = { executionSuccessful, exitCode: exit, toolExecutionNotifications: notifications };
      const end = JSON.stringify({ artifacts, invocations: [invocation], columnKind: 'utf16CodeUnits' });
      const tail = printableJson(end).slice(1);
      await output.write(`\n],${tail}]}\n`);
    },
  };
}

function driver({ name, version, home, findingPages }: Tool): object {
  const rules = RULES.map(({ id, severity, summary }) => {
    const text = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
    const helpUri = `${findingPages}/${id}.md`;
    const help = 'What it means, what causes it and what to do';
    return {
      id,
      shortDescription: { text },
      fullDescription: { text },
      defaultConfiguration: { level: LEVEL[severity] },
      helpUri,
      help: { text: `${help}: ${helpUri}`, markdown: `[${help}](${helpUri})` },
    };
  });
  return { name, version, semanticVersion: version, informationUri: home, rules };
}

function result(finding: FindingGroup, uri: string): object {
  const {
    code,
    severity,
    block = 0,
    slot,
    lastSlot,
    count,
    offset,
    bytes,
    found,
    expected,
    flippedBit,
    next,
  } = finding;
  // A page file has no lines, but code scanning shows no result without one.
  const region = { startLine: 1, byteOffset: offset, byteLength: bytes };
  const place = slot === undefined ? String(block) : `${block}:${slot}`;
  const name = lastSlot === undefined ? place : `${place}-${lastSlot}`;
  // Without the message and the last slot: the same damage must be the same result when a value has changed.
  const hash = fnv1a64(Buffer.from([code, uri, place, offset].join('\n')));
  const fingerprint = hash.toString(16).padStart(16, '0');
  return {
    ruleId: code,
    ruleIndex: RULE_INDEX.get(code),
    level: LEVEL[severity],
    message: { text: findingLines(finding).join('\n') },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri }, region },
        logicalLocations: [{ name, kind: slot === undefined ? 'block' : 'slot' }],
      },
    ],
    // Code scanning uses the second. Its default, the hash of line 1, would be the same for all results.
    partialFingerprints: { 'artriePagesFinding/v1': fingerprint, primaryLocationLineHash: `${fingerprint}:1` },
    properties: { lastSlot, count, found, expected, flippedBit, next },
  };
}
