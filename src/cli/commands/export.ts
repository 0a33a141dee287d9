import { type Command, Option } from 'commander';
import { type ExportEncoding, exportNodes } from '../../transfer/export.ts';
import { blocksText, type CommandRun, type StartCommand } from '../command.ts';
import { lostPageNote, lostSlotsNote, noDirectoryNote, withRecoverAdvice } from '../errors.ts';
import type { CommonOptions } from '../options.ts';

interface ExportCommandOptions extends CommonOptions {
  readonly encoding?: ExportEncoding;
}

export function addExport(command: Command, start: StartCommand): void {
  command
    .description('print the whole file as JSON Lines, which import turns into the same file again')
    .argument('<file>', 'the page file')
    .addOption(
      new Option('--encoding <encoding>', 'encoding of all nodes (default: text where possible, else base64)').choices([
        'hex',
        'base64',
      ] satisfies ExportEncoding[]),
    )
    .action((file: string, options: ExportCommandOptions) => start(options, (run) => exportFile(run, file, options)));
}

async function exportFile(run: CommandRun, file: string, { encoding }: ExportCommandOptions): Promise<void> {
  await run.withProgress({ what: file, unit: blocksText, hasRows: true }, async (progress) => {
    const exported = exportNodes(file, {
      ...(encoding === undefined ? {} : { encoding }),
      onPage: async ({ block, orphanedBytes, lostSlots }) => {
        if (orphanedBytes > 0) await run.note(noDirectoryNote(file, block));
        if (lostSlots > 0) await run.note(lostSlotsNote(file, block, lostSlots, 'exported as lost'));
      },
      onProgress: progress.update,
      onLostPage: (problem) => run.note(lostPageNote(file, problem)),
      signal: run.signal,
    });
    try {
      for await (const lines of exported) {
        await run.stdout.write(lines);
        if (run.stdout.closed) break;
      }
    } catch (error) {
      throw withRecoverAdvice(error, file, 'the export is incomplete');
    }
  });
}
