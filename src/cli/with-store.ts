import { PageStoreError } from '../errors.ts';
import { PageStore } from '../store/page-store.ts';
import type { OpenOptions } from '../store/store-options.ts';

/** Opens a store for as long as `work` takes. */
export async function withStore<T>(
  path: string,
  options: OpenOptions,
  work: (store: PageStore) => Promise<T>,
): Promise<T> {
  const store = await PageStore.open(path, options);
  let result: T;
  try {
    result = await work(store);
  } catch (error) {
    // The first error is the one to tell; closing after it may well fail for the same reason.
    await store.close().catch(() => undefined);
    throw nameFile(error, path);
  }
  await store.close();
  return result;
}

/** Adds the file's name to an error that speaks of data and knows of no file. */
function nameFile(error: unknown, file: string): unknown {
  if (!(error instanceof PageStoreError) || error.detail.file !== undefined) return error;
  return new PageStoreError(error.code, error.message, { ...error.detail, file }, error.cause);
}
