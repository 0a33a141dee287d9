import { type Command, InvalidArgumentError, Option } from 'commander';
import type { LockOptions } from '../disk/node-lock.ts';
import { PageStoreError } from '../errors.ts';
import type { PageFormat } from '../format/page-header.ts';
import { parseRef } from '../store/page-ref.ts';
import type { Encoding, Framing } from './framing.ts';

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly color: boolean;
}

/** Adds the options that every command has. */
export function addCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print JSON Lines; the last line is a summary')
    .option('-q, --quiet', 'print no progress and no notes')
    .option('--no-color', 'print without colour, even on a terminal');
}

/** Options of every command that writes to a page file. */
export interface WriterOptions extends CommonOptions {
  readonly lockTimeout: number;
  readonly breakLock?: boolean;
}

/** Adds the options of commands that write to a page file. */
export function addLockOptions(command: Command): Command {
  return command
    .option('--lock-timeout <seconds>', 'how long to wait while another writer has the file', seconds, 0)
    .option('--break-lock', 'remove the lock that a killed writer left behind');
}

/** How a command takes the lock. An interruption ends the wait for it. */
export function lockOptions(lockSignal: AbortSignal, { lockTimeout, breakLock = false }: WriterOptions): LockOptions {
  return { lockTimeout, breakLock, lockSignal };
}

export const pageFormatOption = (description: string): Option =>
  new Option('--page-format <format>', description).choices(['v1', 'v2'] satisfies PageFormat[]);

export const ENCODINGS: readonly Encoding[] = ['raw', 'hex', 'base64'];

export const encodingOption = (description: string): Option =>
  new Option('--encoding <encoding>', description).choices(ENCODINGS).default('raw' satisfies Encoding);

export const FRAMINGS: readonly Framing[] = ['lines', 'nul', 'u32', 'whole'];

export const framingOption = (description: string): Option =>
  new Option('--framing <framing>', description).choices(FRAMINGS).default('lines' satisfies Framing);

/** Parses a whole number of at least 1. */
export function positiveInteger(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value === 0) throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return value;
}

/** More threads than this cost memory and gain nothing. */
const MAX_JOBS = 64;

/** Parses a number of threads. */
export function jobCount(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > MAX_JOBS) throw new InvalidArgumentError(`It must be a whole number from 1 to ${MAX_JOBS}.`);
  return value;
}

/** Parses a number of seconds. */
function seconds(text: string): number {
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) throw new InvalidArgumentError('It must be a number of seconds.');
  return Number(text);
}

/** Parses a block id. */
export function blockId(text: string): number {
  if (!/^\d{1,8}$/.test(text)) throw new InvalidArgumentError('It must be a block id, a whole number.');
  return Number(text);
}

/** Collects the values of an argument or option that may be given more than once. */
export const collect =
  <T>(parse: (text: string) => T) =>
  (text: string, before: readonly T[] | undefined): T[] => [...(before ?? []), parse(text)];

/** Parses a REF that selects a single node. @throws {@link PageStoreError} `INVALID_REF` */
export function parseSingleRef(text: string, file: string): { readonly block: number; readonly slot: number } {
  const { block, from, to } = parseRef(text);
  if (from !== undefined && from === to) return { block, slot: from };
  throw new PageStoreError('INVALID_REF', `expected a single node, block:slot, not '${text}'`, { file });
}
