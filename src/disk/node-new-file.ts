import { randomUUID } from 'node:crypto';
import { type FileHandle, link, open, rename, rm, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf, syncDirectory } from './node-fs.ts';
import { pathBeside } from './node-names.ts';
import { giveTo, type Owner, setMode } from './node-owner.ts';

/** Errors of link() that say that there are no hard links here, or not for this user. */
export const NO_HARD_LINKS: readonly string[] = [
  'EPERM',
  'EACCES',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EINVAL',
  'EMLINK',
  'EXDEV',
];

/** Creates a file. @param mode - its permissions regardless of the umask; default: those of any new file @internal */
export async function openNew(path: string, mode: number | undefined): Promise<FileHandle> {
  // At no time may it have more permissions than in the end.
  const handle = await open(path, 'wx+', mode);
  try {
    if (mode !== undefined) await setMode(handle, mode);
    return handle;
  } catch (error) {
    await handle.close();
    await rm(path, { force: true });
    throw error;
  }
}

/**
 * A file with a temporary name until it is complete: {@link publish}, then {@link confirm}, or {@link discard} at any time
 * before that. Errors are those of node:fs. @internal
 */
export class NewFile {
  /** The caller closes it. */
  readonly handle: FileHandle;
  readonly #target: string;
  readonly #temporary: string;
  /** Another name of the file that was replaced. */
  readonly #keptName: string;
  #hasTarget = false;
  #hasTemporary = true;
  /** What had the name before. `lost`: a file that could not be kept. */
  #before: 'nothing' | 'kept' | 'lost' = 'nothing';

  private constructor(handle: FileHandle, target: string, id: string) {
    this.handle = handle;
    this.#target = target;
    this.#temporary = temporaryPath(target, id);
    this.#keptName = pathBeside(target, `.${id}.old`);
  }

  /**
   * @param target - final path, not a symbolic link
   * @param owner - default: that of any new file
   * @param isOwnerNeeded - whether it is an error if the file cannot be given to `owner`
   */
  static async open(target: string, mode?: number, owner?: Owner, isOwnerNeeded: boolean = false): Promise<NewFile> {
    const id = randomUUID();
    const handle = await openNew(temporaryPath(target, id), owner === undefined ? mode : 0o600);
    const file = new NewFile(handle, target, id);
    try {
      if (owner === undefined) return file;
      if (isOwnerNeeded) await file.#give(owner);
      else await giveTo(handle, owner);
      // Changing the owner clears some of the permissions.
      await setMode(handle, mode ?? 0o600);
      return file;
    } catch (error) {
      await handle.close();
      await file.discard();
      throw error;
    }
  }

  /** Only root may change the owner. Where files have none, nobody can, and nobody needs to. */
  async #give({ uid, gid }: Owner): Promise<void> {
    const found = await this.handle.stat();
    if (found.uid === uid && found.gid === gid) return;
    try {
      await this.handle.chown(uid, gid);
    } catch (error) {
      if (!['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errnoOf(error))) throw error;
    }
  }

  /** Gives the file its name; without `replace`, an existing file is an `EEXIST` error. */
  async publish(replace: boolean): Promise<void> {
    if (replace) {
      this.#before = await this.#keep();
    } else {
      if (await this.#publishByLink()) return;
      // A file system without hard links: reserve the name first, then replace the empty file.
      await (await open(this.#target, 'wx')).close();
      this.#hasTarget = true;
    }
    await rename(this.#temporary, this.#target);
    this.#hasTarget = true;
    this.#hasTemporary = false;
  }

  /** Ends the possibility to discard the file. */
  async confirm(): Promise<void> {
    this.#hasTarget = false;
    // The new file has its name, so this is not a failure: the old one is only left under another name.
    if (this.#before === 'kept') await rm(this.#keptName, { force: true }).catch(() => undefined);
  }

  /** Removes the file, and gives a file that it has replaced its name again. */
  async discard(): Promise<void> {
    if (this.#hasTarget) {
      this.#hasTarget = false;
      if (this.#before === 'kept') await rename(this.#keptName, this.#target);
      // Rather the new file than none.
      else if (this.#before === 'nothing') await rm(this.#target, { force: true });
      await syncDirectory(dirname(this.#target)).catch(() => undefined); // the caller has an error already
    } else if (this.#before === 'kept') {
      await rm(this.#keptName, { force: true });
    }
    this.#before = 'nothing';
    if (this.#hasTemporary) await rm(this.#temporary, { force: true });
    this.#hasTemporary = false;
  }

  /** Gives an existing file a second name. */
  async #keep(): Promise<'nothing' | 'kept' | 'lost'> {
    try {
      await link(this.#target, this.#keptName);
      return 'kept';
    } catch (error) {
      return errnoOf(error) === 'ENOENT' ? 'nothing' : 'lost';
    }
  }

  /** @returns false where the file system has no hard links */
  async #publishByLink(): Promise<boolean> {
    try {
      await link(this.#temporary, this.#target);
    } catch (error) {
      if (NO_HARD_LINKS.includes(errnoOf(error))) return false;
      throw error;
    }
    this.#hasTarget = true;
    await unlink(this.#temporary);
    this.#hasTemporary = false;
    return true;
  }
}

const temporaryPath = (target: string, id: string): string => pathBeside(target, `.${id}.new`);
