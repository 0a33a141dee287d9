import { oneLine, shellPath } from '../bytes/quoting.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CommittedView } from '../disk/committed-view.ts';
import type { LockOptions } from '../disk/node-lock.ts';
import { PageStoreError } from '../errors.ts';
import type { CommitRecord } from '../format/commit-record.ts';
import type { PageFormat } from '../format/page-header.ts';
import type { Problem } from '../format/problem.ts';
import { COLOR, PLAIN, type Style } from '../report/reporter.ts';
import { type OpenOptions, PageStore } from '../store/page-store.ts';
import type { Context } from './context.ts';
import { type Encoding, ENCODINGS, type Framing, FRAMINGS } from './framing.ts';

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly color: boolean;
}

/** Adds the options that every command has. */
export function withCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print JSON Lines, the last of which is a summary')
    .option('-q, --quiet', 'no progress and no notes')
    .option('--no-color', 'no colour, even on a terminal');
}

/** Options of every command that writes to a page file. */
export interface WriterOptions extends CommonOptions {
  readonly lockTimeout: number;
  readonly breakLock?: boolean;
}

/** Adds the options that every command has, and those of the commands that write. */
export function withWriterOptions(command: Command): Command {
  return withCommonOptions(command)
    .option('--lock-timeout <seconds>', 'how long to wait while another writer has the file', seconds, 0)
    .option('--break-lock', 'remove the lock of a writer that was killed');
}

/** How a command takes the lock: an interruption ends the waiting. */
export function lockOptions({ signal }: Context, { lockTimeout, breakLock = false }: WriterOptions): LockOptions {
  return { lockTimeout, breakLock, lockSignal: signal };
}

export const pageFormatOption = (description: string): Option =>
  new Option('--page-format <format>', description).choices(['v1', 'v2'] satisfies PageFormat[]);

export const encodingOption = (description: string): Option =>
  new Option('--encoding <encoding>', description).choices(ENCODINGS).default('raw' satisfies Encoding);

export const framingOption = (description: string): Option =>
  new Option('--framing <framing>', description).choices(FRAMINGS).default('lines' satisfies Framing);

/** Reads a whole number of at least 1. */
export function positiveInteger(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value === 0) throw new InvalidArgumentError('It takes a whole number of at least 1.');
  return value;
}

/** More threads than this cost memory and gain nothing. */
const MAX_JOBS = 64;

/** Reads a number of threads. */
export function jobCount(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > MAX_JOBS) throw new InvalidArgumentError(`It takes a whole number from 1 to ${MAX_JOBS}.`);
  return value;
}

/** Reads a number of seconds. */
function seconds(text: string): number {
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) throw new InvalidArgumentError('It takes a number of seconds.');
  return Number(text);
}

/** Reads a block id. */
export function blockId(text: string): number {
  if (!/^\d{1,8}$/.test(text)) throw new InvalidArgumentError('It takes a block id, a whole number.');
  return Number(text);
}

/** Gathers the values of an argument or option that may be given more than once. */
export const gather =
  <T>(parse: (text: string) => T) =>
  (text: string, before: readonly T[] | undefined): T[] => [...(before ?? []), parse(text)];

/** How words may stand out on standard output. */
export function styleFor(context: Context, options: CommonOptions): Style {
  const noColor = (context.env['NO_COLOR'] ?? '') !== '';
  return context.stdout.isTerminal && options.color && !noColor ? COLOR : PLAIN;
}

/** Says of a new file whose name is taken how it can be made all the same. Any other error stays as it is. */
export function withForce(error: unknown): unknown {
  if (!(error instanceof PageStoreError) || error.detail.errno !== 'EEXIST') return error;
  return new PageStoreError(error.code, `${error.message}; --force takes its place`, error.detail, error);
}

/** Opens a store for as long as `work` takes. */
export async function withStore<T>(
  path: string,
  options: OpenOptions,
  work: (store: PageStore) => Promise<T>,
): Promise<T> {
  const store = await PageStore.open(path, options);
  let result: T;
  try {
    result = await work(store);
  } catch (error) {
    // The first error is the one to tell; closing after it may well fail for the same reason.
    await store.close().catch(() => undefined);
    throw nameFile(error, path);
  }
  await store.close();
  return result;
}

/** Adds the file's name to an error that speaks of data and knows of no file. */
function nameFile(error: unknown, file: string): unknown {
  if (!(error instanceof PageStoreError) || error.detail.file !== undefined) return error;
  return new PageStoreError(error.code, error.message, { ...error.detail, file }, error.cause);
}

/** How a commit record stands to the file, for those who look into it. */
export type CommitState = 'home' | 'pending' | 'void' | 'superseded';

/** What each state means for the next writer. */
export const COMMIT_NOTES: Readonly<Record<CommitState, string>> = {
  home: 'its headers are in their places',
  pending: 'acknowledged or about to be; the next writer puts its headers in their places',
  void: 'never acknowledged, or its headers have been changed since, as by update or finalize',
  superseded: 'a later commit took its place',
};

/** The state of one of the commit records of a file. */
export function commitState(view: CommittedView, { sequence }: CommitRecord): CommitState {
  const { lastRecord, lastIsHome, pending } = view.recovery;
  if (pending.some((record) => record.sequence === sequence)) return 'pending';
  if (lastRecord?.sequence !== sequence) return 'superseded';
  return lastIsHome ? 'home' : 'void';
}

/** Says that a page is left out, since no reader knows it for one. */
export async function noteLostPage({ stderr }: Context, file: string, { message }: Problem): Promise<void> {
  const next = `none of its nodes is written; artrie-pages repair --dry-run ${shellPath(file)} shows how it is put right`;
  await stderr.write(`artrie-pages: ${oneLine(`${file}: ${message}; ${next}`)}\n`);
}
