import { constants } from 'node:fs';
import { type FileHandle, open, readFile, readlink, realpath } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { kill, pid } from 'node:process';
import { type ErrorDetail, PageStoreError } from '../errors.ts';
import { errnoOf, ioError } from './node-fs.ts';

// Imported here and in no other file below cli/: a lock has to name its process and ask whether another one runs.

/** Who holds a lock, as one line of JSON beside the page file says it. */
export interface LockHolder {
  readonly pid: number;
  /** When the process started, as the system tells it: `ticks@boot`. Left out where it does not. */
  readonly startTime?: string;
  /** The table that `pid` is a number of: containers of one machine have their own. */
  readonly pidNamespace?: string;
  readonly host: string;
  /** When it took the lock, in ISO form. */
  readonly since: string;
  readonly program: string;
}

/** Whether a holder runs: `unknown` where that cannot be told from here, as of another machine. */
export type HolderState = NonNullable<ErrorDetail['holder']>;

/** This process, as the holder of a lock from now on. */
export async function thisHolder(): Promise<LockHolder> {
  const started = await processStart(pid);
  const pidNamespace = await ownPidNamespace();
  return {
    pid,
    ...(started === undefined ? {} : { startTime: started.time }),
    ...(pidNamespace === undefined ? {} : { pidNamespace }),
    host: hostname(),
    since: new Date().toISOString(),
    program: 'artrie-pages',
  };
}

export const encodeHolder = (holder: LockHolder): string => `${JSON.stringify(holder)}\n`;

/** Reads what a holder wrote; undefined for anything else, such as a line that is half written. */
export function decodeHolder(text: string): LockHolder | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // not JSON: what the caller is told by undefined
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { pid, startTime, pidNamespace, host, since, program } = value as Readonly<Record<string, unknown>>;
  // A pid of 0 or below would stand for a group of processes.
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1 || pid > 0x7fff_ffff) return undefined;
  if (!matches(host, /^[^\p{Cc}]{1,255}$/u) || !matches(since, /^[\dTZ:.+-]{1,40}$/)) return undefined;
  return {
    pid,
    ...(matches(startTime, /^[\w@-]{1,80}$/) ? { startTime } : {}),
    ...(matches(pidNamespace, /^[\w:[\]]{1,80}$/) ? { pidNamespace } : {}),
    host,
    since,
    program: matches(program, /^[^\p{Cc}]{1,80}$/u) ? program : '',
  };
}

const matches = (value: unknown, pattern: RegExp): value is string => typeof value === 'string' && pattern.test(value);

/** `process 1234 on host NAME, since 2026-11-21T03:50:00Z` */
export function describeHolder({ pid, host, since }: LockHolder): string {
  return `process ${pid} on host ${host}, since ${since.replace(/\.\d+Z$/, 'Z')}`;
}

/** Whether the process that wrote this still runs. */
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
  // A zombie writes no more: it has ended, and its parent has not asked for its exit code.
  if (found.ended) return 'gone';
  return holder.startTime === undefined || holder.startTime === found.time ? 'running' : 'gone';
}

function exists(pid: number): boolean {
  try {
    kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM is of a process that is there, and another user's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** When a process started: a pid is given again, and a pid with its start time is not. Linux alone tells it. */
async function processStart(pid: number): Promise<{ time: string; ended: boolean } | undefined> {
  const stat = await textOrNothing(`/proc/${pid}/stat`);
  const boot = await bootId();
  if (stat === undefined || boot === undefined) return undefined;
  // The name of the program stands in parentheses, and may contain spaces and parentheses: field 3 follows the last.
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

/** More than any holder writes about itself: what is longer is somebody else's file. */
const MOST_HOLDER_BYTES = 4096;

/** The names that the writers of a page file meet at. */
export interface LockPlace {
  /** The page file, as the caller named it. */
  readonly file: string;
  /** The page file itself, behind all symbolic links. */
  readonly target: string;
  /** The file that the system's lock is on. It stays: a lock on a name that comes and goes excludes nobody. */
  readonly sidecar: string;
  /** The file whose presence is the lock where there is no lock of the system. */
  readonly pidFile: string;
}

/**
 * Where the writers of a file meet, whatever path each of them was given. The file need not exist; its folder must.
 * @throws {@link PageStoreError} `IO`
 */
export async function lockPlace(file: string): Promise<LockPlace> {
  const target = await realpath(file).catch(async (error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw ioError(file, 'open', error);
    const folder = await realpath(dirname(file)).catch((cause: unknown) => {
      throw ioError(file, 'open', cause);
    });
    return join(folder, basename(file));
  });
  return { file, target, sidecar: `${target}.lock`, pidFile: `${target}.lock.pid` };
}

/**
 * The error of a writer that has to wait.
 * @param where - what a person may delete where nobody can tell whether the holder runs
 */
export function lockedError(
  { file }: LockPlace,
  holder: LockHolder | undefined,
  state: HolderState,
  where: string,
): PageStoreError {
  const who = holder === undefined ? `${where} does not say who` : describeHolder(holder);
  const messages: Readonly<Record<HolderState, string>> = {
    running: `another writer holds the lock: ${who}`,
    gone: `a writer that has ended left its lock ${where}: ${who}`,
    unknown: `another writer holds the lock: ${who}; whether it still runs cannot be told from here, and if it does not, delete ${where}`,
  };
  return new PageStoreError('FILE_LOCKED', messages[state], { file, holder: state });
}

/** Reads a file that says who holds a lock; undefined where there is none. @throws {@link PageStoreError} `IO` */
export async function readHolderText(path: string): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | noWaiting);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw ioError(path, 'open', error);
  }
  try {
    return await readHolderFrom(handle);
  } catch (error) {
    throw ioError(path, 'read', error);
  } finally {
    await handle.close();
  }
}

/** Opening a pipe would wait for somebody at its other end. Windows has neither. */
const noWaiting = (constants.O_NONBLOCK as number | undefined) ?? 0;

export async function readHolderFrom(handle: FileHandle): Promise<string> {
  const bytes = Buffer.alloc(MOST_HOLDER_BYTES);
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
  return bytes.toString('utf8', 0, bytesRead);
}

/** @throws {@link PageStoreError} `IO` where what has the name of a lock file is something else, which writing would destroy */
export async function assertHolderFile(path: string, handle: FileHandle): Promise<void> {
  const stats = await handle.stat();
  if (stats.isFile() && stats.size <= MOST_HOLDER_BYTES) return;
  throw new PageStoreError('IO', 'this is no lock file, and a writer needs the name for one; move it away', {
    file: path,
  });
}
