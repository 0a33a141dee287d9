import { PageStoreError } from '../errors.ts';
import type { LockOptions } from '../disk/node-lock.ts';
import { open, type OpenOptions, type PageStore } from '../store/page-store.ts';
import { blocksText, type CommandRun, withOpen } from './command.ts';
import type { TrieOptions, WriterOptions } from './options.ts';

/** Opens a page file to write. Shows progress, and heeds the signal, where that takes long: a file may have a huge tail. */
export async function openToWrite(
  run: CommandRun,
  file: string,
  options: WriterOptions,
  storeOptions: Pick<OpenOptions, 'pageFormat' | 'dedupe' | 'evenIfTrie'> = {},
): Promise<PageStore> {
  const { signal } = run;
  return run.withProgress({ what: file, unit: blocksText }, ({ update }) =>
    open(file, { ...lockOptions(run, file, options), ...storeOptions, signal, onProgress: update }),
  );
}

/** Runs work on a page file that is opened to write; a change that would harm its trie is refused without `--force`. */
export async function withStoreToChange<T>(
  run: CommandRun,
  file: string,
  options: TrieOptions,
  work: (store: PageStore) => Promise<T>,
): Promise<T> {
  return withForceAdvice(withOpen(openToWrite(run, file, options, { evenIfTrie: options.force === true }), work));
}

/** Adds to a refusal because of a trie how to go on all the same. */
export async function withForceAdvice<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof PageStoreError) || !TRIE_REFUSALS.has(error.code)) throw error;
    const message = `${error.message}; --force does it all the same`;
    throw new PageStoreError(error.code, message, error.detail, error);
  }
}

const TRIE_REFUSALS: ReadonlySet<string> = new Set(['FILE_HAS_TRIE', 'BLOCK_IN_USE']);

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
