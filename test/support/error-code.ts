import { PageStoreError } from '../../src/errors.ts';

/** The documented code of an error, or its class. */
export function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return error instanceof PageStoreError ? error.code : (error as Error).constructor.name;
  }
  return 'none';
}
