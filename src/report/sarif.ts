import { fnv1a64 } from '../bytes/checksum.ts';
import { oneLine, printableJson } from '../bytes/text.ts';
import type { Severity } from '../format/problem.ts';
import { RULES } from '../verify/rules.ts';
import type { Finding } from '../verify/verify.ts';
import { findingLines, type Reporter, type ReportOutput, type Tool } from './reporter.ts';
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

/** SARIF 2.1.0, in one run. Findings are written at once; memory holds an entry per file. */
export function sarifReporter(output: ReportOutput, { tool, windows }: SarifOptions): Reporter {
  const artifacts: object[] = [];
  const notifications: object[] = [];
  let separator = '';
  const location = (file: string): object => ({ uri: fileUri(file, windows) });
  const notify = (id: string, text: string, file?: string): void => {
    const locations = file === undefined ? undefined : [{ physicalLocation: { artifactLocation: location(file) } }];
    notifications.push({ descriptor: { id }, level: 'error', message: { text }, locations });
  };
  return {
    async begin() {
      const head = JSON.stringify({ $schema: SCHEMA, version: '2.1.0' }).slice(0, -1);
      await output.write(`${head},"runs":[{"tool":${JSON.stringify({ driver: driver(tool) })},"results":[`);
    },
    async finding(finding) {
      await output.write(
        `${separator}\n${printableJson(JSON.stringify(result(finding, fileUri(finding.file, windows))))}`,
      );
      separator = ',';
    },
    async file({ file, bytes, interrupted }) {
      artifacts.push({ location: location(file), length: bytes, roles: ['analysisTarget'] });
      if (interrupted) notify('interrupted', `${oneLine(file)}: interrupted before the last block was checked`, file);
    },
    async error({ code, message }, file) {
      notify(code, oneLine(`${file}: ${message}`), file);
    },
    async end({ exit, interrupted, unchecked }) {
      if (interrupted && unchecked > 0) notify('interrupted', `${plural(unchecked, 'file')} not checked`);
      // A run that finds damage is successful; one that could not check a file is not.
      const executionSuccessful = notifications.length === 0;
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

function result(finding: Finding, uri: string): object {
  const { code, severity, block = 0, slot, offset, bytes, found, expected, flippedBit, next } = finding;
  // A page file has no lines, but code scanning shows no result without one.
  const region = { startLine: 1, byteOffset: offset, byteLength: bytes };
  const name = slot === undefined ? String(block) : `${block}:${slot}`;
  // Without the message: the same damage must be the same result when a value has changed.
  const hash = fnv1a64(Buffer.from([code, uri, name, offset].join('\n')));
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
    properties: { found, expected, flippedBit, next },
  };
}
