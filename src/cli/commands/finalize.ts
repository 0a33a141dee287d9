import type { Command } from 'commander';
import { shellPath } from '../../bytes/text.ts';
import type { PageStoreError } from '../../errors.ts';
import { plural } from '../../report/text.ts';
import type { FinalizedPage } from '../../store/finalize.ts';
import { open } from '../../store/page-store.ts';
import { blocksText, type CommandRun, type StartCommand, withOpen } from '../command.ts';
import { EXIT, exitCodeOf } from '../errors.ts';
import { addLockOptions, blockId, collect, lockOptions, type WriterOptions } from '../options.ts';

interface FinalizeOptions extends WriterOptions {
  readonly block?: number[];
}

export function addFinalize(command: Command, start: StartCommand): void {
  addLockOptions(
    command
      .description('finalize pages: write directory and checksum; the pages take no more nodes')
      .argument('<file>', 'the page file')
      .option('--block <id...>', 'block ids of the pages (default: all pages)', collect(blockId)),
  ).action((file: string, options: FinalizeOptions) => start(options, (run) => finalize(run, file, options)));
}

async function finalize(run: CommandRun, file: string, options: FinalizeOptions): Promise<number> {
  const counts = { sealed: 0, 'was sealed': 0, damaged: 0 };
  let firstError: PageStoreError | undefined;
  await withOpen(open(file, lockOptions(run.signal, options)), (store) =>
    run.withProgress({ what: file, unit: blocksText, hasRows: true }, (progress) => {
      const onPage = async (page: FinalizedPage): Promise<void> => {
        const { block, outcome, nodes, error } = page;
        counts[outcome]++;
        firstError ??= error;
        const fields = { block, outcome, nodes, code: error?.code, message: error?.message };
        await run.row(describe(page), 'page', () => fields);
        await progress.update(block, store.blockCount);
      };
      const blocks = options.block;
      return store.finalize({ ...(blocks && { blocks }), onPage, signal: run.signal });
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
  if (outcome === 'damaged') return `block ${block}: not finalized: ${error?.message ?? ''}`;
  return `block ${block}: ${outcome === 'sealed' ? '' : 'already '}finalized, ${plural(nodes, 'node')}`;
}
