import { oneLine, shellPath } from '../../bytes/quoting.ts';
import type { Command } from 'commander';
import { differenceText } from '../../report/transfer.ts';
import { jsonLine } from '../../report/reporter.ts';
import { plural } from '../../report/text.ts';
import { diffFiles, type DiffSummary } from '../../transfer/diff.ts';
import type { Difference } from '../../transfer/difference.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../errors.ts';
import { type CommonOptions, styleFor, withCommonOptions } from '../options.ts';
import { Printer } from '../output.ts';
import { blocksText, Progress } from '../progress.ts';
import type { Runner } from '../context.ts';

interface DiffOptions extends CommonOptions {
  readonly nodes?: boolean;
  readonly brief?: boolean;
}

/** Lines are gathered: to wait for each would take longer than to make it. */
const GATHERED_CHARACTERS = 16_384;

export function addDiff(program: Command, run: Runner): void {
  withCommonOptions(program.command('diff'))
    .description('tell in what two files differ, by page and slot')
    .argument('<a>')
    .argument('<b>')
    .option('--nodes', 'compare the sequences of their nodes, wherever those are')
    .option('--brief', 'say only whether they differ')
    .action((a: string, b: string, options: DiffOptions) => run((context) => diff(context, { a, b }, options)));
}

interface Names {
  readonly a: string;
  readonly b: string;
}

async function diff(context: Context, names: Names, options: DiffOptions): Promise<number> {
  const { json = false, brief = false, nodes = false, quiet = false } = options;
  const { stdout } = context;
  const style = styleFor(context, options);
  const shown = { a: oneLine(names.a), b: oneLine(names.b) };
  let gathered = '';
  const flush = async (): Promise<void> => {
    const lines = gathered;
    gathered = '';
    await stdout.write(lines);
  };
  const readerGone = new AbortController();
  const report = (difference: Difference): void | Promise<void> => {
    if (stdout.closed) readerGone.abort();
    if (stdout.closed || (brief && difference.type !== 'damaged')) return undefined;
    const { type, ...fields } = difference;
    gathered += json ? jsonLine(type, fields) : `${differenceText(difference, shown, style)}\n`;
    return gathered.length < GATHERED_CHARACTERS ? undefined : flush();
  };
  const progress = new Progress(context, `${names.a} ${names.b}`, blocksText, quiet || stdout.isTerminal);
  let summary: DiffSummary;
  try {
    summary = await progress.during(() =>
      diffFiles(names.a, names.b, report, {
        compare: nodes ? 'nodes' : 'places',
        stopAtFirst: brief,
        onProgress: (done, total) => progress.update(done, total),
        signal: AbortSignal.any([context.signal, readerGone.signal]),
      }),
    );
  } catch (error) {
    // There is a difference, and nobody left to be told of the others.
    if (readerGone.signal.aborted && !context.signal.aborted) return EXIT.findings;
    throw error;
  } finally {
    await flush();
  }
  const { same, differences, changed } = summary;
  const damaged = differences.damaged > 0;
  const printer = new Printer(context, options);
  if (brief && !same && !damaged) await printer.text([`${shown.a} and ${shown.b} differ\n`]);
  await printer.summary('diff', names.a, { other: names.b, compare: nodes ? 'nodes' : 'places', ...summary });
  if (changed && !quiet) await note(context, 'a writer was at work: what was compared is of no single moment');
  if (!damaged) return same ? EXIT.done : EXIT.findings;
  const verify = `artrie-pages verify ${shellPath(names.a)} ${shellPath(names.b)}`;
  const rest = summary.sequencesCompared ? '' : ', nor the sequences of nodes from the first on';
  await note(context, `${plural(differences.damaged, 'damaged place')} not compared${rest}; ${verify} says more`);
  return EXIT.damaged;
}

async function note({ stderr }: Context, text: string): Promise<void> {
  await stderr.write(`artrie-pages: ${oneLine(text)}\n`);
}
