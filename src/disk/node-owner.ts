import { stat } from 'node:fs/promises';
import { errnoOf, unlessMissing, withIoError } from './node-fs.ts';

/** User and group ids. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The part of node:fs' `FileHandle` that is needed; declared here so that the public types need no others. */
export interface OwnedHandle {
  stat(): Promise<Owner>;
  chmod(mode: number): Promise<void>;
  chown(uid: number, gid: number): Promise<void>;
}

/** Who may use a file. */
export interface Ownership {
  /** All permission bits. */
  readonly mode: number;
  readonly owner: Owner;
}

export function ownershipOfStats(stats: {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}): Ownership {
  return { mode: stats.mode & 0o7777, owner: { uid: stats.uid, gid: stats.gid } };
}

/** Undefined if there is no such file. @throws {@link PageStoreError} `IO` */
export async function ownershipOf(path: string): Promise<Ownership | undefined> {
  const stats = await withIoError(path, 'stat', () => unlessMissing(stat(path)));
  return stats && ownershipOfStats(stats);
}

/**
 * For a copy of data from `path`: nobody may read it who cannot read `path`, except the owner, who is that of `path` where
 * that can be set. @throws {@link PageStoreError} `IO`
 */
export async function ownershipOfCopy(path: string): Promise<Ownership> {
  const { mode, owner } = ownershipOfStats(await withIoError(path, 'stat', () => stat(path)));
  return { mode: (mode & 0o666) | 0o600, owner };
}

/** The file system has no modes and owners, as SMB, vfat and WebDAV, or this user may not set them. */
const REFUSED: readonly string[] = ['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'ENOTTY', 'EDQUOT'];

/** @returns false where it cannot be done, which is no error */
async function unlessRefused(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (REFUSED.includes(errnoOf(error))) return false;
    throw error;
  }
}

/** Sets the mode of a file; one that cannot be set stays. */
export async function setMode(handle: OwnedHandle, mode: number): Promise<void> {
  await unlessRefused(handle.chmod(mode));
}

/** Which of them the file has now. */
interface Given {
  readonly uid: boolean;
  readonly gid: boolean;
}

/** Gives a file to a user and a group, as far as this user may. */
export async function giveTo(handle: OwnedHandle, { uid, gid }: Owner): Promise<Given> {
  const found = await handle.stat();
  if (found.uid === uid && found.gid === gid) return { uid: true, gid: true };
  if (await unlessRefused(handle.chown(uid, gid))) return { uid: true, gid: true };
  // Who is not root may still choose among the groups that they are in.
  const hasGroup = found.gid === gid || (await unlessRefused(handle.chown(found.uid, gid)));
  return { uid: found.uid === uid, gid: hasGroup };
}

/** `lock`: tells nothing about the page file. */
export type BesideKind = 'lock' | 'data';

/**
 * Gives a file beside a page file the owner, group and mode of the page file. Where they cannot be set, it gets a mode
 * with which all who may write the page file may use it.
 */
export async function shareAs(handle: OwnedHandle, page: Ownership, kind: BesideKind): Promise<void> {
  await setMode(handle, sharedMode(page.mode, await giveTo(handle, page.owner), kind));
}

/** @internal */
export function sharedMode(mode: number, given: Given, kind: BesideKind): number {
  const [user, group, other] = [(mode >> 6) & 6, (mode >> 3) & 6, mode & 6];
  if (given.uid && given.gid) return 0o600 | (user << 6) | (group << 3) | other;
  // An owner is nearly always in the group, so a file with data need not be open to all on their account.
  const reachesOwner = given.uid || (kind === 'data' && given.gid && (group & user) === user);
  const everyone = other | (reachesOwner ? 0 : ifWriter(user)) | (given.gid ? 0 : ifWriter(group));
  // The group of the file comes before all others, so it must not have less than they have.
  return 0o600 | (((given.gid ? group : 0) | everyone) << 3) | everyone;
}

const ifWriter = (bits: number): number => ((bits & 2) === 0 ? 0 : bits);
