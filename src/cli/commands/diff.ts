import type { Command } from 'commander';
import { oneLine, shellPath } from '../../bytes/text.ts';
import { jsonLine } from '../../report/reporter.ts';
import { plural } from '../../report/text.ts';
import { differenceText } from '../../report/results.ts';
import { diff, type DiffReport } from '../../transfer/diff.ts';
import type { Difference } from '../../transfer/difference.ts';
import { blocksText, type CommandRun, type StartCommand } from '../command.ts';
import { EXIT } from '../errors.ts';
import type { CommonOptions } from '../options.ts';

interface DiffCommandOptions extends CommonOptions {
  readonly nodes?: boolean;
  readonly brief?: boolean;
}

export function addDiff(command: Command, start: StartCommand): void {
  command
    .description('show the differences between two files, by page and slot')
    .argument('<a>', 'a page file')
    .argument('<b>', 'the page file to compare it with')
    .option('--nodes', 'compare the sequences of nodes, wherever they are')
    .option('--brief', 'print only whether the files differ')
    .action((a: string, b: string, options: DiffCommandOptions) =>
      start(options, (run) => diffFiles(run, { a, b }, options)),
    );
}

async function diffFiles(
  run: CommandRun,
  { a, b }: { readonly a: string; readonly b: string },
  { brief = false, nodes = false }: DiffCommandOptions,
): Promise<number> {
  const compare = nodes ? 'nodes' : 'places';
  const names = { a: oneLine(a), b: oneLine(b) };
  const readerGone = new AbortController();
  const printDifference = (difference: Difference): void | Promise<void> => {
    const { stdout, style, isJson } = run;
    if (stdout.closed) readerGone.abort();
    if (stdout.closed || (brief && difference.type !== 'damaged')) return undefined;
    const { type, ...fields } = difference;
    const line = isJson ? jsonLine(type, fields) : `${differenceText(difference, names, style)}\n`;
    return stdout.tryWrite(line) ? undefined : stdout.write(line);
  };
  let report: DiffReport;
  try {
    report = await run.withProgress({ what: `${a} ${b}`, unit: blocksText, hasRows: true }, (progress) =>
      diff(a, b, {
        compare,
        stopAtFirst: brief,
        onDifference: printDifference,
        onProgress: progress.update,
        signal: AbortSignal.any([run.signal, readerGone.signal]),
      }),
    );
  } catch (error) {
    // There is a difference, and the reader has gone.
    if (readerGone.signal.aborted && !run.signal.aborted) return EXIT.findings;
    throw error;
  }
  const { same, differences, changed, sequencesCompared } = report;
  const isDamaged = differences.damaged > 0;
  if (brief && !same && !isDamaged) await run.text([`${names.a} and ${names.b} differ\n`]);
  await run.summary(a, { other: b, compare, ...report });
  if (changed) await run.note('a writer was active: the result is not of a single moment');
  if (!isDamaged) return same ? EXIT.done : EXIT.findings;
  const rest = sequencesCompared ? '' : ', and no nodes after the first';
  const advice = `for details: artrie-pages verify ${shellPath(a)} ${shellPath(b)}`;
  await run.warn(`${plural(differences.damaged, 'damaged place')} not compared${rest}; ${advice}`);
  return EXIT.damaged;
}
