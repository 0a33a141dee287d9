import type { PageStoreError } from '../errors.ts';
import type { LockOptions } from '../disk/node-lock.ts';
import { open, type OpenOptions, type PageStore } from '../store/page-store.ts';
import { blocksText, type CommandRun } from './command.ts';
import type { WriterOptions } from './options.ts';

/** Opens a page file to write. Shows progress, and heeds the signal, where that takes long: a file may have a huge tail. */
export async function openToWrite(
  run: CommandRun,
  file: string,
  options: WriterOptions,
  storeOptions: Pick<OpenOptions, 'pageFormat' | 'dedupe'> = {},
): Promise<PageStore> {
  const { signal } = run;
  return run.withProgress({ what: file, unit: blocksText }, ({ update }) =>
    open(file, { ...lockOptions(run, file, options), ...storeOptions, signal, onProgress: update }),
  );
}

/** How a command waits for another writer; it says so, once, before it does. @param file - whose lock it needs */
export function lockOptions(
  run: CommandRun,
  file: string,
  { lockTimeout, breakLock = false }: WriterOptions,
): LockOptions {
  // A terminal learns it at once; a log has a line where it takes as long as between two lines of progress.
  const silentSeconds = run.context.stderr.isTerminal ? 0 : 5;
  let isSaid = false;
  const onLockWait = async ({ message }: PageStoreError, seconds: number): Promise<void> => {
    if (isSaid || seconds < silentSeconds) return;
    isSaid = true;
    await run.note(`${file}: ${message}; waiting up to ${lockTimeout} s for it`);
    await run.context.stderr.flush();
  };
  return { lockTimeout, breakLock, lockSignal: run.signal, onLockWait };
}
