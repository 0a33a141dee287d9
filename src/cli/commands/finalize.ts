import type { Command } from 'commander';
import { oneLine, shellPath } from '../../bytes/text.ts';
import type { PageStoreError } from '../../errors.ts';
import { plural } from '../../report/text.ts';
import type { FinalizedPage } from '../../store/finalize.ts';
import { blocksText, type CommandRun, type StartCommand, withOpen } from '../command.ts';
import { EXIT, exitCodeOf, UsageError } from '../errors.ts';
import { addLockOptions, blockId, collect, type WriterOptions } from '../options.ts';
import { openToWrite } from '../open-to-write.ts';
import { outputConflict } from '../same-file.ts';

interface FinalizeOptions extends WriterOptions {
  readonly block?: number[];
}

export function addFinalize(command: Command, start: StartCommand): void {
  addLockOptions(
    command
      .description('finalize pages: write directory and checksum; the pages take no more nodes')
      .usage('<file> [--block <id...>] [options]')
      .argument('<file>', 'the page file')
      .argument('[more...]')
      // Takes one value, since commander would take a file name after it for another block id.
      .option('--block <id>', 'block ids of the pages (default: all pages)', collect(blockId)),
  ).action((file: string, more: string[], options: FinalizeOptions) => {
    const [path, ids] = fileAmong([file, ...more], options.block !== undefined);
    const block = options.block && [...options.block, ...ids];
    return start(options, (run) => finalize(run, path, { ...options, ...(block && { block }) }));
  });
}

/** Finds the file among the arguments and the further ids of `--block`, wherever it is. */
function fileAmong(args: readonly string[], hasBlock: boolean): readonly [string, number[]] {
  if (!hasBlock && args.length > 1) throw new UsageError('too many arguments: expected one file', 'finalize');
  const named = args.findIndex((arg) => !isBlockId(arg));
  // A file whose name is a number comes first.
  const at = Math.max(0, named);
  const ids = args.filter((_, index) => index !== at);
  const wrong = ids.find((id) => !isBlockId(id));
  if (wrong !== undefined) throw new UsageError(`--block: '${wrong}' is not a block id`, 'finalize');
  if (args[at] === '') throw new UsageError('FILE must not be empty', 'finalize');
  return [args[at] ?? '', ids.map(blockId)];
}

function isBlockId(text: string): boolean {
  return /^\d{1,8}$/.test(text);
}

async function finalize(run: CommandRun, file: string, options: FinalizeOptions): Promise<number> {
  // The check of all commands looks only at the first argument.
  const conflict = await outputConflict(file, run.context);
  if (conflict) throw conflict;
  const counts = { sealed: 0, 'was sealed': 0, damaged: 0 };
  let firstError: PageStoreError | undefined;
  await withOpen(openToWrite(run, file, options), (store) =>
    run.withProgress({ what: file, unit: blocksText, hasRows: true }, (progress) => {
      const onPage = async (page: FinalizedPage): Promise<void> => {
        const { block, outcome, nodes, error } = page;
        counts[outcome]++;
        firstError ??= error;
        const fields = { block, outcome, nodes, code: error?.code, message: error?.message };
        await run.row(describe(page), 'page', () => fields);
      };
      const blocks = options.block;
      const { signal } = run;
      return store
        .finalize({ ...(blocks && { blocks }), onPage, onProgress: progress.update, signal })
        .catch(async (error: unknown) => {
          const before = counts.sealed === 0 ? 'no page' : plural(counts.sealed, 'page');
          await run.noteInterrupted(error, file, `${before} finalized before; to go on, finalize again`);
          throw error;
        });
    }),
  );
  const { sealed, damaged } = counts;
  await run.summary(file, { sealed, sealedBefore: counts['was sealed'], damaged });
  if (!firstError) return EXIT.done;
  const reason = 'because a new checksum would hide the damage';
  await run.warn(
    `${file}: ${plural(damaged, 'page')} not finalized, ${reason}; for details: artrie-pages verify ${shellPath(file)}`,
  );
  return exitCodeOf(firstError.code);
}

function describe({ block, outcome, nodes, error }: FinalizedPage): string {
  if (outcome === 'damaged') return `block ${block}: not finalized: ${oneLine(error?.message ?? '')}`;
  return `block ${block}: ${outcome === 'sealed' ? '' : 'already '}finalized, ${plural(nodes, 'node')}`;
}
