import type { Command } from 'commander';
import { shellPath } from '../../bytes/text.ts';
import { PageStoreError } from '../../errors.ts';
import type { PageFormat } from '../../format/page-header.ts';
import { plural } from '../../report/text.ts';
import type { PageStore } from '../../store/page-store.ts';
import { appendArguments, appendFrames, AppendRun } from '../append-run.ts';
import { bytesText, type CommandRun, type StartCommand, withOpen } from '../command.ts';
import { Interrupted, type Input } from '../context.ts';
import { withAdvice } from '../errors.ts';
import type { Encoding, Framing } from '../framing.ts';
import { noteTypedInput, openInput } from '../input.ts';
import { openToWrite, withForceAdvice } from '../open-to-write.ts';
import { assertInputIsNotOutput } from '../same-file.ts';
import {
  addTrieOptions,
  encodingOption,
  framingOption,
  jobCount,
  pageFormatOption,
  positiveInteger,
  type TrieOptions,
} from '../options.ts';

interface AppendOptions extends TrieOptions {
  readonly input?: string;
  readonly framing: Framing;
  readonly encoding: Encoding;
  readonly pageFormat?: PageFormat;
  readonly batch?: number;
  readonly jobs: number;
  readonly dedupe?: boolean;
}

export function addAppend(command: Command, start: StartCommand): void {
  addTrieOptions(
    command
      .description('append nodes; print the ref of each once it is safely on disk')
      .argument('<file>', 'the page file')
      .argument('[data...]', 'the nodes; without any, standard input is split into nodes')
      .option('--input <path>', 'read nodes from a file instead of standard input')
      .addOption(framingOption('how the input is split; u32: a length before each node, little-endian'))
      .addOption(encodingOption('encoding of each node'))
      .addOption(pageFormatOption("format of the pages (default: that of the file's last page)"))
      .option('--batch <n>', 'commit every n nodes (default: by size, and when the input pauses)', positiveInteger)
      .option('--dedupe', 'store equal nodes once, and print the ref of the first one for all')
      .option('--jobs <n>', 'decode hex or base64 in n threads', jobCount, 1),
  ).action((file: string, data: string[], options: AppendOptions) =>
    start(options, (run) => append(run, file, data, options)),
  );
}

async function append(run: CommandRun, file: string, data: string[], options: AppendOptions): Promise<void> {
  if (data.length > 0 && options.input !== undefined) {
    throw new PageStoreError('INVALID_FRAMING', 'give nodes as arguments or with --input, not both', { file });
  }
  const { dedupe = false } = options;
  // Opened first: input that cannot be read is an error before anything is written.
  const input = data.length > 0 ? undefined : await openInput(run.context, options.input);
  if (input) await assertInputIsNotOutput(input, file, run.context);
  const work = async (store: PageStore): Promise<object> => {
    const appending = new AppendRun(run, store, options.batch);
    try {
      // Refused before input is awaited.
      store.assertHarmless('append');
      await appendArguments(appending, data, options.encoding);
      if (input) await noteTypedInput(run, input, 'nodes');
      if (input) await appendInput(run, appending, input, file, options);
      await appending.commit();
    } catch (error) {
      throw await afterStop(error, run, appending, store, file, options);
    } finally {
      await input?.close();
    }
    const duplicates = dedupe ? { duplicates: store.duplicateNodes } : {};
    return { nodes: appending.durableNodes, bytes: appending.nodeBytes, ...duplicates };
  };
  const totals = await withForceAdvice(withOpen(openToAppend(run, file, options), work));
  await run.summary(file, totals);
}

async function openToAppend(run: CommandRun, file: string, options: AppendOptions): Promise<PageStore> {
  const { pageFormat, dedupe = false, force: evenIfTrie = false } = options;
  try {
    return await openToWrite(run, file, options, { ...(pageFormat && { pageFormat }), dedupe, evenIfTrie });
  } catch (error) {
    throw withAdvice(error, 'ENOENT', `to create it: artrie-pages create ${shellPath(file)}`);
  }
}

const BAD_INPUT: ReadonlySet<string> = new Set(['INVALID_ENCODING', 'INVALID_FRAMING', 'NODE_TOO_LARGE']);

/** Commits the nodes before bad input or an interruption. @returns the error, with the number of appended nodes */
async function afterStop(
  error: unknown,
  run: CommandRun,
  appending: AppendRun,
  store: PageStore,
  file: string,
  { batch }: AppendOptions,
): Promise<unknown> {
  const isBadInput = error instanceof PageStoreError && BAD_INPUT.has(error.code);
  const node = appending.durableNodes + store.stagedNodes + 1;
  if (isBadInput || error instanceof Interrupted) await appending.commit();
  const appended = appending.durableNodes === 0 ? 'no nodes' : plural(appending.durableNodes, 'node');
  await run.noteInterrupted(error, file, `${appended} appended before, safely on disk`);
  // Others, such as an error of standard output, say nothing about the nodes.
  if (!(error instanceof PageStoreError) || !(isBadInput || error.detail.file === file)) return error;
  const nodes = appending.durableNodes;
  const before =
    nodes === 0
      ? 'nothing was appended'
      : `${plural(nodes, 'node')} before it ${nodes === 1 ? 'was' : 'were'} appended`;
  const place = isBadInput ? `node ${node} of the input: ` : '';
  const isFull = error.detail.errno === 'ENOSPC' || error.detail.errno === 'EDQUOT';
  const advice =
    isFull && batch === undefined ? '; --batch N commits every N nodes, so that fewer have to fit at once' : '';
  return new PageStoreError(error.code, `${place}${error.message} (${before})${advice}`, error.detail, error);
}

async function appendInput(
  run: CommandRun,
  appending: AppendRun,
  input: Input,
  file: string,
  { framing, encoding, jobs }: AppendOptions,
): Promise<void> {
  await run.withProgress({ what: file, unit: bytesText }, async (progress) => {
    if (jobs === 1 || encoding === 'raw' || framing === 'whole') {
      return appendFrames(appending, input, { framing, encoding }, run.signal, progress);
    }
    // Loaded only when needed: it slows the start.
    const { appendDecoded } = await import('../decode/append-decoded.ts');
    return appendDecoded(appending, input, { framing, encoding, jobs }, run.signal, progress);
  });
}
