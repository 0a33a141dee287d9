import { oneLine } from '../../bytes/quoting.ts';
import { type Command, Option } from 'commander';
import { PageStoreError } from '../../errors.ts';
import type { ExportEncoding } from '../../transfer/export.ts';
import { type ExportedPage, exportNodes } from '../../transfer/export.ts';
import type { Problem } from '../../format/problem.ts';
import { noteLostPage } from '../options.ts';
import type { Context } from '../context.ts';
import { EXIT, exitCodeOf } from '../errors.ts';
import { type CommonOptions, withCommonOptions } from '../options.ts';
import { blocksText, Progress } from '../progress.ts';
import type { Runner } from '../context.ts';

interface ExportOptions extends CommonOptions {
  readonly encoding?: ExportEncoding;
}

export function addExport(program: Command, run: Runner): void {
  withCommonOptions(program.command('export'))
    .description('print the whole file as JSON Lines, a node a line, from which import makes it again')
    .argument('<file>')
    .addOption(
      new Option(
        '--encoding <encoding>',
        'write all nodes so (default: as text where that is possible, else base64)',
      ).choices(['hex', 'base64'] satisfies ExportEncoding[]),
    )
    .action((file: string, options: ExportOptions) => run((context) => exportFile(context, file, options)));
}

async function exportFile(context: Context, file: string, options: ExportOptions): Promise<void> {
  const { stdout, signal } = context;
  const { encoding, quiet = false } = options;
  const progress = new Progress(context, file, blocksText, quiet || stdout.isTerminal);
  const onPage = async (page: ExportedPage): Promise<void> => {
    signal.throwIfAborted();
    if (!quiet) await noteOrphans(context, file, page);
    await progress.update(page.block, page.blocks);
  };
  const onLostPage = async (problem: Problem): Promise<void> => {
    if (!quiet) await noteLostPage(context, file, problem);
  };
  const hooks = { onPage, onLostPage };
  await progress.during(async () => {
    try {
      for await (const lines of exportNodes(file, encoding === undefined ? hooks : { ...hooks, encoding })) {
        await stdout.write(lines);
        if (stdout.closed) break;
      }
    } catch (error) {
      throw withAdvice(error, file);
    }
  });
}

async function noteOrphans({ stderr }: Context, file: string, { block, orphanedBytes }: ExportedPage): Promise<void> {
  if (orphanedBytes === 0) return;
  const note =
    'node bytes without a directory: where each node begins is not known (never finalized), and none is exported';
  await stderr.write(`artrie-pages: ${oneLine(file)}: block ${block} has ${note}\n`);
}

/** Says how the rest of a damaged file is had. */
function withAdvice(error: unknown, file: string): unknown {
  if (!(error instanceof PageStoreError) || exitCodeOf(error.code) !== EXIT.damaged) return error;
  const { offset } = error.detail;
  const place = offset === undefined ? '' : `, at byte ${offset}`;
  const message = `${error.message}${place}: the export ends there; artrie-pages recover ${file} NEW takes all that is sound`;
  return new PageStoreError(error.code, message, error.detail, error);
}
