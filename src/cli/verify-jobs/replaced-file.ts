import { PageStoreError } from '../../errors.ts';

/** The error for a path that leads to another file than it did when verifying began. */
export function replacedError(path: string): PageStoreError {
  const message = 'another file has taken the place of this one while it was verified; verify it again';
  return new PageStoreError('IO', message, { file: path });
}
