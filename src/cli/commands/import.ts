import { oneLine } from '../../bytes/quoting.ts';
import type { Command } from 'commander';
import { assertOwnPlace } from '../../disk/node-fs.ts';
import { PageStoreError } from '../../errors.ts';
import type { PageFormat } from '../../format/page-header.ts';
import { plural } from '../../report/text.ts';
import { type ImportSummary, importNodes } from '../../transfer/import.ts';
import type { Context } from '../context.ts';
import { EXIT, exitCodeOf } from '../errors.ts';
import { withForce } from '../options.ts';
import { inputChunks } from '../input.ts';
import { type Input, openInput } from '../input.ts';
import { lockOptions, pageFormatOption, type WriterOptions, withWriterOptions } from '../options.ts';
import { Printer } from '../output.ts';
import { bytesText, Progress } from '../progress.ts';
import type { Runner } from '../context.ts';

interface ImportOptions extends WriterOptions {
  readonly input?: string;
  readonly pageFormat?: PageFormat;
  readonly force?: boolean;
}

export function addImport(program: Command, run: Runner): void {
  withWriterOptions(program.command('import'))
    .description('make a new file from the lines of an export, or from lines of nodes without refs')
    .argument('<file>', 'the file to make')
    .option('--input <path>', 'read lines from a file instead of standard input')
    .addOption(pageFormatOption('format of pages for nodes without refs (default: v1)'))
    .option('--force', 'take the place of a file that exists')
    .action((file: string, options: ImportOptions) => run((context) => importFile(context, file, options)));
}

async function importFile(context: Context, file: string, options: ImportOptions): Promise<void> {
  const { pageFormat, force = false } = options;
  if (options.input !== undefined && options.input !== '-') await assertOwnPlace('the new file', file, [options.input]);
  const input = await openInput(context, options.input);
  const progress = new Progress(context, file, bytesText, options.quiet === true);
  const opening = {
    ...lockOptions(context, options),
    ...(pageFormat === undefined ? {} : { pageFormat }),
    replace: force,
    signal: context.signal,
  };
  let summary: ImportSummary;
  try {
    summary = await progress.during(() => importNodes(told(context, input, progress), file, opening));
  } catch (error) {
    throw withForce(nothingMade(error, file));
  } finally {
    await input.close();
  }
  const { refs, blocks, pages, freeBlocks, nodes, bytes } = summary;
  const printer = new Printer(context, options);
  const where = refs === 'kept' ? 'at the refs of the export' : 'packed in the order of the input';
  const free = freeBlocks === 0 ? '' : `, ${plural(freeBlocks, 'free block')}`;
  await printer.text([
    `${oneLine(file)}: ${plural(nodes, 'node')} ${where}; ${plural(blocks, 'block')}, ${plural(pages, 'page')}${free}\n`,
  ]);
  await printer.summary('import', file, { refs, blocks, pages, freeBlocks, nodes, bytes });
}

/** The pieces of the input, and how many bytes have come on the way. */
async function* told(context: Context, input: Input, progress: Progress): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of inputChunks(input, context.signal)) {
    yield chunk;
    bytes += chunk.length;
    await progress.update(bytes, input.totalBytes);
  }
}

/** Says of an error of the input whose file is not there for it, and that it is not. */
function nothingMade(error: unknown, file: string): unknown {
  if (!(error instanceof PageStoreError) || exitCodeOf(error.code) !== EXIT.usage) return error;
  return new PageStoreError(error.code, `${error.message} (nothing was made)`, { ...error.detail, file }, error);
}
