import type { Command } from 'commander';
import { PageStoreError } from '../../errors.ts';
import type { PageFormat } from '../../format/page-header.ts';
import { plural } from '../../report/text.ts';
import type { PageStore } from '../../store/page-store.ts';
import { appendFrames } from '../append-run.ts';
import { AppendRun } from '../append-run.ts';
import { type Context, Interrupted } from '../context.ts';
import { decodeText, type Encoding } from '../framing.ts';
import type { Framing } from '../framing.ts';
import { type Input, openInput } from '../input.ts';
import {
  encodingOption,
  framingOption,
  jobCount,
  lockOptions,
  pageFormatOption,
  positiveInteger,
  type WriterOptions,
  withWriterOptions,
} from '../options.ts';
import { bytesText, Progress } from '../progress.ts';
import type { Runner } from '../context.ts';
import { Printer } from '../output.ts';
import { withStore } from '../options.ts';

interface AppendOptions extends WriterOptions {
  readonly input?: string;
  readonly framing: Framing;
  readonly encoding: Encoding;
  readonly pageFormat?: PageFormat;
  readonly batch?: number;
  readonly jobs: number;
  readonly dedupe?: boolean;
}

export function addAppend(program: Command, run: Runner): void {
  withWriterOptions(program.command('append'))
    .description('add nodes, and print where each one is once it is durable')
    .argument('<file>')
    .argument('[data...]', 'each is a node; without any, standard input is cut into nodes')
    .option('--input <path>', 'read nodes from a file instead of standard input')
    .addOption(framingOption('how the input is cut: u32 is a length before each node, little-endian'))
    .addOption(encodingOption('how each node is written'))
    .addOption(pageFormatOption("format of the pages (default: that of the file's last page)"))
    .option('--batch <n>', 'commit every n nodes (default: by size, and when the input pauses)', positiveInteger)
    .option('--dedupe', 'store nodes that are equal once, and print the ref of the first for all')
    .option('--jobs <n>', 'decode hex or base64 in n threads', jobCount, 1)
    .action((file: string, data: string[], options: AppendOptions) =>
      run((context) => append(context, file, data, options)),
    );
}

async function append(context: Context, file: string, data: string[], options: AppendOptions): Promise<void> {
  if (data.length > 0 && options.input !== undefined) {
    throw new PageStoreError('INVALID_FRAMING', 'give nodes as arguments or with --input, not both', { file });
  }
  const { pageFormat, dedupe = false } = options;
  // Input that cannot be read is told before anything is written.
  const input = data.length > 0 ? undefined : await openInput(context, options.input);
  const opening = { ...lockOptions(context, options), ...(pageFormat === undefined ? {} : { pageFormat }), dedupe };
  const totals = await withStore(file, opening, async (store) => {
    const run = new AppendRun(context, store, options);
    try {
      if (input === undefined) for (const text of data) await addNode(run, decodeText(text, options.encoding));
      else await appendInput(context, run, input, file, options);
      await run.commit();
    } catch (error) {
      throw await afterStop(error, run, store);
    } finally {
      await input?.close();
    }
    const duplicates = dedupe ? { duplicates: store.duplicateNodes } : {};
    return { nodes: run.acknowledgedNodes, bytes: run.nodeBytes, ...duplicates };
  });
  await new Printer(context, options).summary('append', file, totals);
}

async function addNode(run: AppendRun, node: Uint8Array): Promise<void> {
  if (!run.tryAdd(node, 0, node.length)) await run.add(node, 0, node.length);
}

/** What came before bad input, or before the interruption, is whole: it is committed. The error says how much is in the file. */
async function afterStop(error: unknown, run: AppendRun, store: PageStore): Promise<unknown> {
  const badInput = error instanceof PageStoreError && BAD_INPUT.has(error.code);
  const node = run.acknowledgedNodes + store.stagedNodes + 1;
  if (badInput || error instanceof Interrupted) await run.commit();
  // An error of standard output, say, is not about the nodes.
  if (!(error instanceof PageStoreError) || !(badInput || error.detail.file === store.disk.name)) return error;
  const appended = run.acknowledgedNodes;
  const before =
    appended === 0
      ? 'nothing was appended'
      : `${plural(appended, 'node')} before it ${appended === 1 ? 'was' : 'were'} appended`;
  const place = badInput ? `node ${node} of the input: ` : '';
  return new PageStoreError(error.code, `${place}${error.message} (${before})`, error.detail, error);
}

const BAD_INPUT: ReadonlySet<string> = new Set(['INVALID_ENCODING', 'INVALID_FRAMING', 'NODE_TOO_LARGE']);

async function appendInput(
  context: Context,
  run: AppendRun,
  input: Input,
  file: string,
  options: AppendOptions,
): Promise<void> {
  const progress = new Progress(context, file, bytesText, options.quiet === true);
  const { framing, encoding, jobs } = options;
  await progress.during(async () => {
    if (jobs === 1 || encoding === 'raw' || framing === 'whole') {
      return appendFrames(context, run, input, options, progress);
    }
    // Loaded when it is needed: threads cost code as well.
    const { appendDecoded } = await import('../decode/append-decoded.ts');
    return appendDecoded(context, run, input, { framing, encoding, jobs }, progress);
  });
}
