import type { Command } from 'commander';
import { oneLine } from '../../bytes/text.ts';
import { assertNoPathConflict } from '../../disk/node-fs.ts';
import { PageStoreError } from '../../errors.ts';
import type { PageFormat } from '../../format/page-header.ts';
import { plural } from '../../report/text.ts';
import { importNodes } from '../../transfer/import.ts';
import { bytesText, type CommandRun, type Progress, type StartCommand } from '../command.ts';
import { EXIT, exitCodeOf, withCreateAdvice } from '../errors.ts';
import type { Input } from '../context.ts';
import { inputChunks, openInput } from '../input.ts';
import { addLockOptions, lockOptions, pageFormatOption, type WriterOptions } from '../options.ts';

interface ImportOptions extends WriterOptions {
  readonly input?: string;
  readonly pageFormat?: PageFormat;
  readonly force?: boolean;
}

export function addImport(command: Command, start: StartCommand): void {
  addLockOptions(
    command
      .description('create a file from the lines of an export, or from lines of nodes without refs')
      .argument('<file>', 'the file to create')
      .option('--input <path>', 'read lines from a file instead of standard input')
      .addOption(pageFormatOption('format of the pages, if the lines have no refs (default: v1)'))
      .option('--force', 'replace the file if it exists'),
  ).action((file: string, options: ImportOptions) => start(options, (run) => importFile(run, file, options)));
}

async function importFile(run: CommandRun, file: string, options: ImportOptions): Promise<void> {
  const { pageFormat, force = false } = options;
  if (options.input !== undefined && options.input !== '-')
    await assertNoPathConflict('the new file', file, [options.input]);
  const input = await openInput(run.context, options.input);
  try {
    const summary = await run.withProgress({ what: file, unit: bytesText }, (progress) =>
      importNodes(withProgressOf(input, progress, run.signal), file, {
        ...lockOptions(run.signal, options),
        ...(pageFormat === undefined ? {} : { pageFormat }),
        replace: force,
        signal: run.signal,
      }),
    );
    const { refs, blocks, pages, freeBlocks, nodes, bytes } = summary;
    const where = refs === 'kept' ? 'with the refs of the export' : 'packed in the order of the input';
    const free = freeBlocks === 0 ? '' : `, ${plural(freeBlocks, 'free block')}`;
    await run.text([
      `${oneLine(file)}: ${plural(nodes, 'node')} ${where}; ${plural(blocks, 'block')}, ${plural(pages, 'page')}${free}\n`,
    ]);
    await run.summary(file, { refs, blocks, pages, freeBlocks, nodes, bytes });
  } catch (error) {
    throw withCreateAdvice(withOutcome(error, file));
  } finally {
    await input.close();
  }
}

async function* withProgressOf(input: Input, progress: Progress, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of inputChunks(input, signal)) {
    yield chunk;
    bytes += chunk.length;
    await progress.update(bytes, input.totalBytes);
  }
}

/** Adds to an error in the input that the file was not created. */
function withOutcome(error: unknown, file: string): unknown {
  if (!(error instanceof PageStoreError) || exitCodeOf(error.code) !== EXIT.usage) return error;
  return new PageStoreError(error.code, `${error.message} (${file} was not created)`, { ...error.detail, file }, error);
}
