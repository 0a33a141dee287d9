import { PageStoreError } from '../errors.ts';

/** Says of a new file whose name is taken how it can be made all the same. Any other error stays as it is. */
export function withForce(error: unknown): unknown {
  if (!(error instanceof PageStoreError) || error.detail.errno !== 'EEXIST') return error;
  return new PageStoreError(error.code, `${error.message}; --force takes its place`, error.detail, error);
}
