import type { Command } from 'commander';
import { oneLine } from '../../bytes/text.ts';
import { assertNoPathConflict } from '../../disk/node-fs.ts';
import { PageStoreError } from '../../errors.ts';
import type { PageFormat } from '../../format/page-header.ts';
import { plural } from '../../report/text.ts';
import { importNodes } from '../../transfer/import.ts';
import { bytesText, type CommandRun, type Progress, type StartCommand } from '../command.ts';
import { EXIT, exitCodeOf, NOTHING_CHANGED, UsageError, withCreateAdvice } from '../errors.ts';
import type { Input } from '../context.ts';
import { inputChunks, noteTypedInput, openInput } from '../input.ts';
import { assertInputIsNotOutput, outputConflict } from '../same-file.ts';
import { lockOptions } from '../open-to-write.ts';
import { addLockOptions, pageFormatOption, type WriterOptions } from '../options.ts';

/** As commander gives them. */
export interface ImportOptions extends WriterOptions {
  readonly input?: string;
  readonly csv?: string;
  readonly table?: string;
  readonly id?: string;
  readonly keysOnly?: boolean;
  readonly map?: string;
  readonly pageFormat?: PageFormat;
  readonly force?: boolean;
  readonly replace?: boolean;
}

export function addImport(command: Command, start: StartCommand): void {
  addLockOptions(
    command
      .description('create a file from the lines of an export, from lines of nodes without refs, or from a CSV file')
      .argument('<file>', 'the file to create')
      .option('--input <path>', 'read lines from a file instead of standard input')
      .option('--csv <path>', 'read a CSV file instead: each cell becomes a node with its key, table/row/column')
      .option('--table <name>', 'with --csv: the first part of every key')
      .option('--id <column>', 'with --csv: the column with the rows in the keys (default: rows are 1, 2, 3, ...)')
      .option('--keys-only', 'with --csv: store the keys without the values')
      .option('--map <path>', 'with --csv: write a line for each node: its key, tab, ref')
      .addOption(pageFormatOption('format of the pages, if the lines have no refs (default: v1)'))
      .option('--replace', 'replace the file, under its lock; its permissions and owner stay')
      .option('--force', 'replace the file, by one with the permissions of a new file, and the map, if they exist'),
  ).action((file: string, options: ImportOptions) => start(options, (run) => importFile(run, file, options)));
}

/** What an import prints. */
export interface ImportResult {
  readonly text: string;
  /** Of the summary. */
  readonly fields: object;
}

async function importFile(run: CommandRun, file: string, options: ImportOptions): Promise<void> {
  assertUsage(options);
  const { csv, table } = options;
  const path = csv ?? options.input;
  if (path !== undefined && path !== '-') await assertNoPathConflict('the new file', file, [path]);
  const input = await openInput(run.context, path, csv === undefined ? '--input' : '--csv');
  await assertInputIsNotOutput(input, file, run.context);
  if (options.map !== undefined) await assertMapIsNotUsed(run, input, options.map, [file, path]);
  await noteTypedInput(run, input, csv === undefined ? 'lines' : 'a CSV file');
  try {
    const { text, fields } = await run.withProgress({ what: file, unit: bytesText }, async (progress) => {
      const chunks = withProgressOf(input, progress, run.signal);
      if (csv === undefined || table === undefined) return importLines(run, file, chunks, options);
      // Loaded only when needed: it slows the start.
      const { importCsvFile } = await import('../import-csv.ts');
      return importCsvFile(run, file, chunks, { ...options, csv, table });
    });
    await run.text([`${oneLine(file)}: ${text}\n`]);
    await run.summary(file, fields);
  } catch (error) {
    await run.noteInterrupted(error, file, NOTHING_CHANGED);
    throw withCreateAdvice(withOutcome(error, file));
  } finally {
    await input.close();
  }
}

/** The map replaces a file that exists, so neither the input nor the output may be there. */
async function assertMapIsNotUsed(
  { context }: CommandRun,
  input: Input,
  map: string,
  paths: readonly (string | undefined)[],
): Promise<void> {
  const others = paths.filter((path): path is string => path !== undefined && path !== '-');
  await assertNoPathConflict('the map', map, others);
  await assertInputIsNotOutput(input, map, context);
  const conflict = await outputConflict(map, context);
  if (conflict) throw conflict;
}

function assertUsage({ csv, input, table, id, keysOnly, map }: ImportOptions): void {
  const forCsv = { '--table': table, '--id': id, '--keys-only': keysOnly, '--map': map };
  for (const [option, value] of Object.entries(forCsv)) {
    if (value === undefined) continue;
    if (csv === undefined) throw new UsageError(`${option} needs --csv`, 'import');
    if (value === '' && option !== '--id') throw new UsageError(`${option} must not be empty`, 'import');
  }
  if (csv === undefined) return;
  if (csv === '') throw new UsageError('--csv must not be empty', 'import');
  if (input !== undefined) throw new UsageError('--csv and --input cannot be used together', 'import');
  if (table === undefined) throw new UsageError('--csv needs --table NAME', 'import');
  if (table.includes('/')) throw new UsageError("--table must be a name without '/'", 'import');
}

async function importLines(
  run: CommandRun,
  file: string,
  chunks: AsyncIterable<Uint8Array>,
  { pageFormat, force = false, replace = false, ...options }: ImportOptions,
): Promise<ImportResult> {
  const { refs, blocks, pages, freeBlocks, nodes, lostSlots, bytes } = await importNodes(chunks, file, {
    ...lockOptions(run, file, options),
    ...(pageFormat === undefined ? {} : { pageFormat }),
    replace: force || replace,
    keepOwner: replace,
    signal: run.signal,
  });
  const where = refs === 'kept' ? 'with the refs of the export' : 'packed in the order of the input';
  const free = freeBlocks === 0 ? '' : `, ${plural(freeBlocks, 'free block')}`;
  const text = `${plural(nodes, 'node')} ${where}; ${plural(blocks, 'block')}, ${plural(pages, 'page')}${free}`;
  return { text, fields: { refs, blocks, pages, freeBlocks, nodes, lostSlots, bytes } };
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
