import { stat } from 'node:fs/promises';
import { ioError } from './io-error.ts';

/**
 * The permissions of a file that is made from another one: who may not read that must not read its nodes in the new
 * one. Its owner can read and write it.
 * @throws {@link PageStoreError} `IO`
 */
export async function modeLike(path: string): Promise<number> {
  try {
    return ((await stat(path)).mode & 0o666) | 0o600;
  } catch (error) {
    throw ioError(path, 'stat', error);
  }
}
