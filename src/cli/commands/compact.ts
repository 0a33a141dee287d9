import { shellPath } from '../../bytes/quoting.ts';
import type { Command } from 'commander';
import { assertOwnPlace } from '../../disk/node-fs.ts';
import { PageStoreError } from '../../errors.ts';
import type { PageFormat } from '../../format/page-header.ts';
import { compactText } from '../../report/transfer.ts';
import { compactFile } from '../../transfer/compact.ts';
import type { CompactSummary } from '../../transfer/compact.ts';
import type { Context } from '../context.ts';
import { EXIT, exitCodeOf } from '../errors.ts';
import { lockOptions, pageFormatOption, type WriterOptions, withWriterOptions } from '../options.ts';
import { withForce } from '../options.ts';
import { Printer } from '../output.ts';
import { blocksText, Progress } from '../progress.ts';
import { RefMapFile } from '../ref-map-file.ts';
import type { Runner } from '../context.ts';

interface CompactOptions extends WriterOptions {
  readonly pageFormat?: PageFormat;
  readonly dedupe?: boolean;
  readonly map?: string;
  readonly force?: boolean;
}

export function addCompact(program: Command, run: Runner): void {
  withWriterOptions(program.command('compact'))
    .description('copy all nodes into a new file without free blocks and gaps; their refs change')
    .argument('<source>', 'the file to copy from; it is only read')
    .argument('<target>', 'the file to make')
    .addOption(pageFormatOption("format of all its pages (default: that of the source's last page)"))
    .option('--dedupe', 'keep the first of equal nodes alone; takes memory for each different node')
    .option('--map <path>', 'write a line for each node: old ref, space, new ref')
    .option('--force', 'take the place of a target, and of a map, that exists')
    .action((source: string, target: string, options: CompactOptions) =>
      run((context) => compact(context, source, target, options)),
    );
}

async function compact(context: Context, source: string, target: string, options: CompactOptions): Promise<void> {
  const { force = false } = options;
  if (options.map !== undefined) await assertOwnPlace('the map', options.map, [source, target]);
  const map = options.map === undefined ? undefined : await RefMapFile.create(options.map, source, force);
  let summary: CompactSummary;
  try {
    const progress = new Progress(context, source, blocksText, options.quiet === true);
    summary = await progress.during(() =>
      compactFile(source, target, {
        ...lockOptions(context, options),
        ...(options.pageFormat === undefined ? {} : { pageFormat: options.pageFormat }),
        ...(map === undefined ? {} : { refMap: map }),
        dedupe: options.dedupe === true,
        replace: force,
        onProgress: (done, total) => progress.update(done, total),
        signal: context.signal,
      }),
    );
  } catch (error) {
    await map?.discard();
    throw withNextStep(error, source);
  }
  const printer = new Printer(context, options);
  await printer.text(compactText(summary));
  await printer.summary('compact', source, { target, map: options.map, ...summary });
}

/** Says what gets the nodes of a damaged source all the same, and how a target that exists can be replaced. */
function withNextStep(error: unknown, source: string): unknown {
  if (!(error instanceof PageStoreError)) return error;
  const { message, detail } = error;
  if (detail.errno === 'EEXIST') return withForce(error);
  if (exitCodeOf(error.code) !== EXIT.damaged) return error;
  const place = detail.offset === undefined ? '' : `, at byte ${detail.offset}`;
  const advice = `nothing was copied; artrie-pages recover ${shellPath(source)} TARGET saves what can be read`;
  return new PageStoreError(error.code, `${message}${place}; ${advice}`, { ...detail, file: source }, error);
}
