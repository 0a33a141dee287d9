import type { Command } from 'commander';
import type { BlockFile } from '../../disk/block-file.ts';
import { openBlockFile } from '../../disk/node-block-file.ts';
import { createBlockFile } from '../../disk/node-create.ts';
import { modeLike } from '../../disk/node-fs.ts';
import { assertOwnPlace } from '../../disk/node-fs.ts';
import { assertPageFile, recoverFile } from '../../recover/recover-file.ts';
import type { RecoverSink, RecoverSummary } from '../../recover/recovery-report.ts';
import { blockReportJson, movedJson } from '../../report/recover.ts';
import { movedText, recoverSummaryText, RecoverText } from '../../report/recover.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../errors.ts';
import { withForce } from '../options.ts';
import { lockOptions, styleFor, type WriterOptions, withWriterOptions } from '../options.ts';
import { Printer } from '../output.ts';
import { blocksText, Progress } from '../progress.ts';
import { RefMapFile } from '../ref-map-file.ts';
import type { Runner } from '../context.ts';

interface RecoverOptions extends WriterOptions {
  readonly map?: string;
  readonly force?: boolean;
  readonly keepRoot?: boolean;
  readonly strict?: boolean;
}

export function addRecover(program: Command, run: Runner): void {
  withWriterOptions(program.command('recover'))
    .description('copy every node that can still be read of a damaged file into a new one, and report what was lost')
    .argument('<source>', 'the damaged file; it is only read')
    .argument('<target>', 'the file to make')
    .option('--map <path>', 'write a line for each node that had to move: old ref, space, new ref')
    .option('--keep-root', 'keep the root pointer, also where the trie may have holes')
    .option('--strict', 'exit code 5 where a node is lost, doubtful, mended or moved')
    .option('--force', 'take the place of a target, and of a map, that exists')
    .action((source: string, target: string, options: RecoverOptions) =>
      run((context) => recover(context, source, target, options)),
    );
}

async function recover(context: Context, source: string, target: string, options: RecoverOptions): Promise<number> {
  const { force = false, strict = false } = options;
  const file = await openBlockFile(source, 'read');
  try {
    await assertOwnPlace('the new file', target, [source]);
    if (options.map !== undefined) await assertOwnPlace('the map', options.map, [source, target]);
    await assertPageFile(file, context.signal);
    const map = options.map === undefined ? undefined : await RefMapFile.create(options.map, source, force);
    try {
      const summary = await recoverInto(context, file, target, map, options);
      return strict && !summary.isWhole ? EXIT.damaged : EXIT.done;
    } catch (error) {
      await map?.discard();
      throw withForce(error);
    }
  } finally {
    await file.close();
  }
}

async function recoverInto(
  context: Context,
  source: BlockFile,
  target: string,
  map: RefMapFile | undefined,
  options: RecoverOptions,
): Promise<RecoverSummary> {
  const printer = new Printer(context, options);
  const style = styleFor(context, options);
  const text = new RecoverText(style);
  const json = async (lines: Iterable<string>): Promise<void> => {
    for (const line of lines) await context.stdout.write(line);
  };
  const isJson = options.json === true;
  const report: RecoverSink = {
    block: (block) => (isJson ? json(blockReportJson(block)) : printer.text(text.block(block))),
    moved: async (run) => {
      await map?.run(run);
      await (isJson ? json([movedJson(run)]) : printer.text([...text.end(), movedText(run)]));
    },
  };
  const result: { summary?: RecoverSummary } = {};
  const progress = new Progress(context, source.name, blocksText, options.quiet === true);
  const fill = async (file: BlockFile): Promise<void> => {
    result.summary = await recoverFile(source, file, report, {
      keepRoot: options.keepRoot === true,
      onProgress: (done, total) => progress.update(done, total),
      signal: context.signal,
    });
    await map?.end();
  };
  const mode = await modeLike(source.name);
  const create = (): Promise<BlockFile> =>
    createBlockFile(target, options.force === true, fill, { ...lockOptions(context, options), mode });
  await (await progress.during(create)).close();
  const summary = result.summary as RecoverSummary; // createBlockFile has called fill
  await printer.text([...text.end(), ...recoverSummaryText(summary, style)]);
  await printer.summary('recover', source.name, { map: options.map, ...summary });
  return summary;
}
