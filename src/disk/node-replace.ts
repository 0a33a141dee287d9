import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BlockFile } from './block-file.ts';
import { DiskManager } from './disk-manager.ts';
import type { LongWork } from './long-work.ts';
import { NodeBlockFile, NodeJournal, openPageFile } from './node-block-file.ts';
import { syncDirectory, withIoError } from './node-fs.ts';
import { lockNewFile, type LockOptions } from './node-lock.ts';
import { NewFile } from './node-new-file.ts';
import { ownershipOf } from './node-owner.ts';

export interface ReplaceFileOptions extends LockOptions {
  /** For the check of the old file. */
  readonly work?: LongWork;
  /** Called when the new file has the name. An error that it throws undoes that, and the old file is back. */
  readonly onPublished?: (() => void | Promise<void>) | undefined;
}

/**
 * Replaces a page file by a new one, which is written beside it and renamed. The writer's locks are held until then, so
 * no commit of this program comes between; readers keep the old file. Permissions and owner stay. On failure the old
 * file has the name, with everything that a writer had committed to it.
 * @param fill - writes and syncs the new file from the old one, which is recovered and must not be written to
 * @throws {@link PageStoreError} as `DiskManager.open` for writing; `FILE_REPLACED` if another program has replaced the
 * file meanwhile; `FILE_LOCKED`, `IO`; what `fill` and `onPublished` throw
 */
export async function replacePageFile<T>(
  path: string,
  fill: (old: BlockFile, file: BlockFile) => Promise<T>,
  options: ReplaceFileOptions = {},
): Promise<T> {
  const old = await openPageFile(path, 'write', options);
  try {
    // Completes what an interrupted writer has left: the new file must not meet the journal of the old one.
    await DiskManager.open(old, 'write', options.work);
    return await fillAndRename(path, old, fill, options);
  } finally {
    await old.close();
  }
}

async function fillAndRename<T>(
  path: string,
  old: BlockFile,
  fill: (old: BlockFile, file: BlockFile) => Promise<T>,
  { onPublished }: ReplaceFileOptions,
): Promise<T> {
  const [target, newFile] = await withIoError(path, 'create the new file beside', async () => {
    const target = await realpath(path);
    const { mode, owner } = (await ownershipOf(target)) ?? {};
    return [target, await NewFile.open(target, mode, owner, true)] as const;
  });
  const file = new NodeBlockFile(path, newFile.handle, new NodeJournal(target, newFile.handle));
  try {
    // As every file that a writer has, and before others can find it.
    await lockNewFile(path, target, newFile.handle);
    const result = await fill(old, file);
    await old.assertNamed?.();
    await withIoError(path, 'replace', () => newFile.publish(true));
    await onPublished?.();
    await withIoError(path, 'replace', () => syncDirectory(dirname(target)));
    await newFile.confirm();
    return result;
  } catch (error) {
    // Still under the locks: nobody else can have written to it.
    await newFile.discard().catch(() => undefined); // report the first error
    throw error;
  } finally {
    await file.close().catch(() => undefined); // it was synced, or an earlier error is reported
  }
}
