import { PageStoreError } from '../errors.ts';
import type { LockOptions } from '../disk/node-lock.ts';
import { open, type OpenOptions, type PageStore } from '../store/page-store.ts';
import { blocksText, type CommandRun } from './command.ts';
import { lockOptions, type WriterOptions } from './options.ts';

/** Opens a page file to write. Shows progress, and heeds the signal, where that takes long: a file may have a huge tail. */
export async function openToWrite(
  run: CommandRun,
  file: string,
  options: WriterOptions,
  storeOptions: Pick<OpenOptions, 'pageFormat' | 'dedupe'> = {},
): Promise<PageStore> {
  const { signal } = run;
  return run.withProgress({ what: file, unit: blocksText }, ({ update }) =>
    withLock(run, file, options, (lock) => open(file, { ...lock, ...storeOptions, signal, onProgress: update })),
  );
}

/**
 * Says that a command waits for another writer, before it does.
 * @param work - takes the lock before anything else: it is called again to wait
 */
export async function withLock<T>(
  run: CommandRun,
  file: string,
  options: WriterOptions,
  work: (lock: LockOptions) => Promise<T>,
): Promise<T> {
  const lock = lockOptions(run.signal, options);
  const { lockTimeout } = options;
  // A terminal learns it at once; a log has a line where it takes as long as between two lines of progress.
  const silentSeconds = run.context.stderr.isTerminal ? 0 : 5;
  if (lockTimeout <= silentSeconds) return work(lock);
  try {
    return await work({ ...lock, lockTimeout: silentSeconds });
  } catch (error) {
    if (!(error instanceof PageStoreError) || error.code !== 'FILE_LOCKED') throw error;
    await run.note(`${file}: ${error.message}; waiting up to ${lockTimeout} s for it`);
    await run.context.stderr.flush();
  }
  return work({ ...lock, lockTimeout: lockTimeout - silentSeconds });
}
