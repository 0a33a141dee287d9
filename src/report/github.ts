import { oneLine } from '../bytes/text.ts';
import type { Severity } from '../format/problem.ts';
import { findingLines, type Reporter, type ReportOutput } from './reporter.ts';
import { plural } from './text.ts';

const COMMANDS: Readonly<Record<Severity, string>> = { info: 'notice', warning: 'warning', error: 'error' };

/**
 * Writes workflow commands of GitHub Actions, which become annotations of the files. File names and messages are written only
 * in lines that begin with `::`, where they are escaped: in other lines the runner could read a command from them.
 */
export function githubReporter(output: ReportOutput): Reporter {
  const annotate = (severity: Severity, file: string, title: string, text: string): Promise<void> =>
    output.write(`::${COMMANDS[severity]} file=${property(file)},title=${property(title)}::${data(text)}\n`);
  return {
    begin: async () => undefined,
    finding(finding) {
      const { severity, file, code } = finding;
      return annotate(severity, file, code, findingLines(finding).join('\n'));
    },
    async file({ interrupted, file }) {
      if (interrupted) await annotate('error', file, 'interrupted', 'interrupted before the last block was checked');
    },
    error: ({ code, message }, file) => annotate('error', file, code, oneLine(message)),
    async end({ files, failed, unreadable, error, warning, info, interrupted, unchecked }) {
      const counts = [plural(error, 'error'), plural(warning, 'warning'), `${info} info`].join(', ');
      const ended = interrupted ? `; interrupted, ${unchecked} not checked` : '';
      await output.write(
        `artrie-pages verify: ${plural(files, 'file')}, ${failed} failed, ${unreadable} unreadable; ${counts}${ended}\n`,
      );
    },
  };
}

/** The message of a command. Characters that would end it are escaped. */
function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

/** Control characters, line separators and lone surrogates, which some log viewers interpret. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** The UTF-8 bytes of a character; a lone surrogate is encoded as the replacement character. */
function percentEncoded(character: string): string {
  return [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

/** The value of a property of a command, which a comma or colon would end too. */
function property(text: string): string {
  return data(text).replace(UNSAFE, percentEncoded).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
