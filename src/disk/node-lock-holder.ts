import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, readFile, readlink, realpath } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { kill, pid } from 'node:process';
import { type ErrorDetail, PageStoreError } from '../errors.ts';
import { errnoOf, O_NONBLOCK, unlessMissing, withIoError } from './node-fs.ts';
import { pathBeside } from './node-names.ts';

// The only file below cli/ that uses node:process.

/** The process that holds a lock: one line of JSON in the lock file. */
export interface LockHolder {
  readonly pid: number;
  /** As `ticks@boot`; absent where the system does not provide it. */
  readonly startTime?: string | undefined;
  /** Containers on one machine have a pid namespace each. */
  readonly pidNamespace?: string | undefined;
  readonly host: string;
  /** ISO time. */
  readonly since: string;
  readonly program: string;
}

/** `unknown`: cannot be determined here, as for another machine. */
export type HolderState = NonNullable<ErrorDetail['holder']>;

export async function encodeThisHolder(): Promise<string> {
  const holder: LockHolder = {
    pid,
    startTime: (await processStart(pid))?.time,
    pidNamespace: await ownPidNamespace(),
    host: hostname(),
    since: new Date().toISOString(),
    program: 'artrie-pages',
  };
  return `${JSON.stringify(holder)}\n`;
}

/** Undefined unless the text is that of a complete lock file. */
export function decodeHolder(text: string): LockHolder | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // not JSON
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { pid, startTime, pidNamespace, host, since, program } = value as Readonly<Record<string, unknown>>;
  // A pid of 0 or below means a group of processes.
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1 || pid > 0x7fff_ffff) return undefined;
  if (!matches(host, /^[^\p{Cc}]{1,255}$/u) || !matches(since, /^[\dTZ:.+-]{1,40}$/)) return undefined;
  return {
    pid,
    startTime: matches(startTime, /^[\w@-]{1,80}$/) ? startTime : undefined,
    pidNamespace: matches(pidNamespace, /^[\w:[\]]{1,80}$/) ? pidNamespace : undefined,
    host,
    since,
    program: matches(program, /^[^\p{Cc}]{1,80}$/u) ? program : '',
  };
}

const matches = (value: unknown, pattern: RegExp): value is string => typeof value === 'string' && pattern.test(value);

export async function holderState(holder: LockHolder): Promise<HolderState> {
  if (holder.host !== hostname()) return 'unknown';
  const boot = await bootId();
  const rebooted = holder.startTime !== undefined && boot !== undefined && !holder.startTime.endsWith(`@${boot}`);
  if (rebooted) return 'gone';
  const namespace = await ownPidNamespace();
  if (holder.pidNamespace !== undefined && namespace !== undefined && holder.pidNamespace !== namespace) {
    return 'unknown';
  }
  if (!exists(holder.pid)) return 'gone';
  const found = await processStart(holder.pid);
  if (found === undefined) return 'running';
  // A zombie has ended; only its exit code is still to be read.
  if (found.ended) return 'gone';
  return holder.startTime === undefined || holder.startTime === found.time ? 'running' : 'gone';
}

function exists(pid: number): boolean {
  try {
    kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: a process of another user.
    return errnoOf(error) !== 'ESRCH';
  }
}

/** On Linux only. A pid is reused, a pid with its start time is not. */
async function processStart(pid: number): Promise<{ time: string; ended: boolean } | undefined> {
  const stat = await textOrNothing(`/proc/${pid}/stat`);
  const boot = await bootId();
  if (stat === undefined || boot === undefined) return undefined;
  // The program's name is in parentheses and may contain some itself; field 3 follows the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state = ''] = fields;
  const ticks = fields[22 - 3];
  return ticks === undefined ? undefined : { time: `${ticks}@${boot}`, ended: state === 'Z' || state === 'X' };
}

async function bootId(): Promise<string | undefined> {
  return (await textOrNothing('/proc/sys/kernel/random/boot_id'))?.trim();
}

async function ownPidNamespace(): Promise<string | undefined> {
  return readlink('/proc/self/ns/pid').catch(() => undefined); // a system without them, or without /proc
}

async function textOrNothing(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined); // no /proc, or the process has ended
}

/** A longer file is not a lock file. */
const MAX_HOLDER_BYTES = 4096;

export interface LockPaths {
  /** As the caller named the page file. */
  readonly file: string;
  /** With symbolic links followed. */
  readonly target: string;
  /** FILE.lock, for the native lock. Deleted only under that lock: one on a file without a name excludes no process. */
  readonly lockFile: string;
  /** FILE.lock.pid: its existence is the lock where there is no native one. */
  readonly pidFile: string;
}

/**
 * The same paths for all symbolic links to a file. It need not exist, its directory must.
 * @param knownTarget - where `file` leads, if it has been opened @throws {@link PageStoreError} `IO`
 */
export async function lockPaths(file: string, knownTarget?: string): Promise<LockPaths> {
  const target = knownTarget ?? (await lockTarget(file));
  return { file, target, lockFile: pathBeside(target, '.lock'), pidFile: pathBeside(target, '.lock.pid') };
}

async function lockTarget(file: string): Promise<string> {
  return withIoError(file, 'open', async () => {
    const existing = await unlessMissing(realpath(file));
    return existing ?? join(await realpath(dirname(file)), basename(file));
  });
}

/** For a file whose own lock is held, while that of its name is free. */
export function otherNameError({ file, lockFile }: LockPaths): PageStoreError {
  const message = `the file is open for writing under another name (or ${lockFile} was deleted, or another program has locked the file)`;
  return new PageStoreError('FILE_LOCKED', message, { file, holder: 'running' });
}

/** @param path - the file to delete if it is unknown whether the holder is running */
export function lockedError(
  { file }: LockPaths,
  holder: LockHolder | undefined,
  state: HolderState,
  path: string,
): PageStoreError {
  const who = holder
    ? `process ${holder.pid} on host ${holder.host}, since ${holder.since.replace(/\.\d+Z$/, 'Z')}`
    : `${path} does not say who`;
  const messages: Readonly<Record<HolderState, string>> = {
    running: `another writer holds the lock: ${who}`,
    gone: `a writer that has ended left its lock ${path}: ${who}`,
    unknown: `another writer holds the lock: ${who}; if it is no longer running, which cannot be checked from here, delete ${path}`,
  };
  return new PageStoreError('FILE_LOCKED', messages[state], { file, holder: state });
}

/** Undefined if the file does not exist. @throws {@link PageStoreError} `IO` */
export async function readHolderText(path: string): Promise<string | undefined> {
  const handle = await withIoError(path, 'open', () => unlessMissing(open(path, constants.O_RDONLY | O_NONBLOCK)));
  if (handle === undefined) return undefined;
  try {
    return await withIoError(path, 'read', () => readHolderFrom(handle));
  } finally {
    await handle.close();
  }
}

/** @internal */
export async function readHolderFrom(handle: FileHandle): Promise<string> {
  const bytes = Buffer.alloc(MAX_HOLDER_BYTES);
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
  return bytes.toString('utf8', 0, bytesRead);
}

/** @throws {@link PageStoreError} `IO` unless this is a lock file: writing would destroy it @internal */
export async function assertHolderFile(path: string, handle: FileHandle): Promise<Stats> {
  const stats = await handle.stat();
  if (stats.isFile() && stats.size <= MAX_HOLDER_BYTES) return stats;
  const message = 'this is not a lock file, but writers of the page file beside it need this name; move it away';
  throw new PageStoreError('IO', message, { file: path });
}
