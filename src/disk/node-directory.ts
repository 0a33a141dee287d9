import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** Makes the name of a new file durable: on most file systems the file's own sync does not cover it. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
