import { grouped } from '../bytes/encodings.ts';
import { oneLine } from '../bytes/text.ts';
import type { Severity } from '../format/problem.ts';
import { codesText, FindingLimit, type Omitted } from './limit.ts';
import { findingLines, type Reporter, type ReportOutput } from './reporter.ts';
import { plural } from './text.ts';

const COMMANDS: Readonly<Record<Severity, string>> = { info: 'notice', warning: 'warning', error: 'error' };

/** GitHub shows 10 of each kind for a step, and ignores the others: one damaged page should not take all of them. */
const LIMITS = { error: 10, warning: 10, info: 10, ofEachCode: 0, ofCodeInBlock: 2 };

/**
 * Workflow commands of GitHub Actions. File names and messages are only in lines that begin with `::`, where they are
 * escaped: in other lines the runner could read a command from them.
 */
export function githubReporter(output: ReportOutput): Reporter {
  const limit = new FindingLimit(LIMITS);
  const annotate = async (severity: Severity, file: string, title: string, text: string): Promise<void> =>
    output.write(`::${COMMANDS[severity]} file=${property(file)},title=${property(title)}::${data(text)}\n`);
  const annotateError = async (file: string, code: string, text: string): Promise<void> => {
    if (limit.admits({ severity: 'error', code })) await annotate('error', file, code, text);
  };
  return {
    begin: async () => undefined,
    async finding(finding) {
      const { severity, file, code } = finding;
      if (limit.admits(finding)) await annotate(severity, file, code, findingLines(finding).join('\n'));
    },
    async file({ interrupted, file }) {
      limit.nextFile();
      if (interrupted) await annotateError(file, 'interrupted', 'interrupted before the last block was checked');
    },
    async error({ code, message }, file) {
      limit.nextFile();
      await annotateError(file, code, oneLine(message));
    },
    async end({ files, failed, unreadable, error, warning, info, interrupted, unchecked }) {
      const { omitted } = limit;
      if (omitted) await output.write(`artrie-pages verify: ${omittedText(omitted)}\n`);
      const counts = [plural(error, 'error'), plural(warning, 'warning'), `${info} info`].join(', ');
      const ended = interrupted ? `; interrupted, ${unchecked} not checked` : '';
      await output.write(
        `artrie-pages verify: ${plural(files, 'file')}, ${failed} failed, ${unreadable} unreadable; ${counts}${ended}\n`,
      );
    },
  };
}

function omittedText(omitted: Omitted): string {
  const { error, warning, info } = omitted;
  const kinds = [
    ...(error > 0 ? [plural(error, 'error')] : []),
    ...(warning > 0 ? [plural(warning, 'warning')] : []),
    ...(info > 0 ? [`${grouped(info)} info`] : []),
  ];
  const limits = 'GitHub shows at most 10 of each kind for a step';
  return `${kinds.join(', ')} more without an annotation (${codesText(omitted)}); ${limits}. The text format has more`;
}

function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

/** Control characters, line separators and lone surrogates, which some log viewers interpret. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** A lone surrogate becomes the replacement character. */
function percentEncoded(character: string): string {
  return [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

/** A comma or colon would end a property too. */
function property(text: string): string {
  return data(text).replace(UNSAFE, percentEncoded).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
