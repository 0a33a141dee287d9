import type { Command } from 'commander';
import { PageStoreError } from '../../errors.ts';
import type { PageFormat } from '../../format/page-header.ts';
import { plural } from '../../report/text.ts';
import type { PageStore } from '../../store/page-store.ts';
import { AppendRun } from '../append-run.ts';
import { type Context, Interrupted } from '../context.ts';
import { decodeText, type Encoding } from '../encoding.ts';
import { Framer, type Framing } from '../framing.ts';
import { type Input, InputReader, openInput } from '../input.ts';
import {
  encodingOption,
  framingOption,
  lockOptions,
  pageFormatOption,
  positiveInteger,
  type WriterOptions,
  withWriterOptions,
} from '../options.ts';
import { bytesText, Progress } from '../progress.ts';
import type { Runner } from '../runner.ts';
import { Printer } from '../printer.ts';
import { withStore } from '../with-store.ts';

interface AppendOptions extends WriterOptions {
  readonly input?: string;
  readonly framing: Framing;
  readonly encoding: Encoding;
  readonly pageFormat?: PageFormat;
  readonly batch?: number;
}

/** After so long without input, what has come so far is made durable. */
const PAUSE_MS = 50;

/** Longest frame: no page holds as much, and hex takes two characters for a byte. */
const MAX_FRAME_BYTES = 2 * 262_144;

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
    .action((file: string, data: string[], options: AppendOptions) =>
      run((context) => append(context, file, data, options)),
    );
}

async function append(context: Context, file: string, data: string[], options: AppendOptions): Promise<void> {
  if (data.length > 0 && options.input !== undefined) {
    throw new PageStoreError('INVALID_FRAMING', 'give nodes as arguments or with --input, not both', { file });
  }
  const { pageFormat } = options;
  // Input that cannot be read is told before anything is written.
  const input = data.length > 0 ? undefined : await openInput(context, options.input);
  const opening = { ...lockOptions(context, options), ...(pageFormat === undefined ? {} : { pageFormat }) };
  const totals = await withStore(file, opening, async (store) => {
    const run = new AppendRun(context, store, options);
    try {
      if (input === undefined) for (const text of data) await addNode(run, decodeText(text, options.encoding));
      else await appendInput(context, run, input, file, options);
      await run.commit();
    } catch (error) {
      throw await afterStop(error, run, store);
    }
    return { nodes: run.acknowledgedNodes, bytes: run.nodeBytes };
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
  await progress.during(() => appendEvents(context, run, input, options, progress));
}

async function appendEvents(
  context: Context,
  run: AppendRun,
  input: Input,
  options: AppendOptions,
  progress: Progress,
): Promise<void> {
  const framer = new Framer(options.framing, MAX_FRAME_BYTES);
  const reader = new InputReader(input.chunks, context.signal);
  let inputBytes = 0;
  for (;;) {
    const event = await reader.nextEvent(run.hasStaged ? PAUSE_MS : undefined);
    if (event.kind === 'pause') {
      await run.commit();
      continue;
    }
    if (event.kind === 'chunk') framer.push(event.chunk);
    else framer.finish();
    while (framer.next()) {
      const { source, start, end } = framer;
      if (options.encoding !== 'raw') {
        const text = Buffer.from(source.buffer, source.byteOffset + start, end - start).toString('latin1');
        await addNode(run, decodeText(text, options.encoding));
      } else if (!run.tryAdd(source, start, end)) {
        await run.add(source, start, end);
      }
      if (run.isOver) return;
    }
    if (event.kind === 'end') return;
    inputBytes += event.kind === 'chunk' ? event.chunk.length : 0;
    await progress.update(inputBytes, input.totalBytes);
  }
}
