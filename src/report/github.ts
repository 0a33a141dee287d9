import { oneLine } from '../bytes/quoting.ts';
import { detailLines, placeText, type Reporter, type ReportOutput, type Severity } from './reporter.ts';
import { plural } from './text.ts';

const COMMANDS: Readonly<Record<Severity, string>> = { info: 'notice', warning: 'warning', error: 'error' };

/**
 * Workflow commands of GitHub Actions, which become annotations of the files. Only lines that begin with `::` hold
 * a name or a message: the runner would take a command out of any other line that looks like one.
 */
export function githubReporter(output: ReportOutput): Reporter {
  const annotate = (severity: Severity, file: string, title: string, text: string): Promise<void> =>
    output.write(`::${COMMANDS[severity]} file=${property(file)},title=${property(title)}::${data(text)}\n`);
  return {
    begin: async () => undefined,
    finding(finding) {
      const { severity, file, code, message, next } = finding;
      const text = [`${placeText(finding)}: ${message}`, ...detailLines(finding), `next: ${next}`];
      return annotate(severity, file, code, text.map(oneLine).join('\n'));
    },
    async file({ interrupted, file }) {
      if (interrupted) await annotate('error', file, 'interrupted', 'the check was ended before the last block');
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

/** The text of a command, with what would end it as escapes. */
function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

/** Control characters, separators of lines, and halves of surrogate pairs: some log viewers act on them. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Of half a pair the bytes are those of the replacement character, as in any text that is written. */
function percentEncoded(character: string): string {
  return [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

/** The value of a property of a command, where a comma or a colon would end it as well. */
function property(text: string): string {
  return data(text).replace(UNSAFE, percentEncoded).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
