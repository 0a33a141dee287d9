import { type Command, InvalidArgumentError, Option } from 'commander';
import { PageStoreError } from '../errors.ts';
import type { PageFormat } from '../format/page-header.ts';
import { parseRef } from '../store/page-ref.ts';
import { VALUE_KINDS } from '../trie/value.ts';
import type { Encoding, Framing } from './framing.ts';

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly color: boolean;
}

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

export function addLockOptions(command: Command): Command {
  return command
    .option('--lock-timeout <seconds>', 'how long to wait while another writer has the file', seconds, 0)
    .option('--break-lock', 'remove the lock that a killed writer left behind');
}

/** Of commands that are refused in a file with a trie. */
export interface TrieOptions extends WriterOptions {
  readonly force?: boolean;
}

export function addTrieOptions(command: Command): Command {
  return addLockOptions(command).option(
    '--force',
    'change the file even if it holds a trie; libdictenstein may then read other terms',
  );
}

export const pageFormatOption = (description: string): Option =>
  new Option('--page-format <format>', description).choices(['v1', 'v2'] satisfies PageFormat[]);

export const ENCODINGS: readonly Encoding[] = ['raw', 'hex', 'base64'];

export const encodingOption = (description: string): Option =>
  new Option('--encoding <encoding>', description).choices(ENCODINGS).default('raw' satisfies Encoding);

export const valuesOption = (description: string): Option =>
  new Option('--values <kind>', description).choices(VALUE_KINDS);

export const FRAMINGS: readonly Framing[] = ['lines', 'nul', 'u32', 'whole'];

export const framingOption = (description: string): Option =>
  new Option('--framing <framing>', description).choices(FRAMINGS).default('lines' satisfies Framing);

/** @throws InvalidArgumentError, of commander */
type NumberParser = (text: string) => number;

const numberParser =
  (pattern: RegExp, expected: string, min = 0, max = Infinity): NumberParser =>
  (text) => {
    const value = pattern.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be ${expected}.`);
  };

export const positiveInteger: NumberParser = numberParser(/^\d{1,9}$/, 'a whole number of at least 1', 1);

/** More threads than this cost memory and gain nothing. */
const MAX_JOBS = 64;

export const jobCount: NumberParser = numberParser(/^\d{1,9}$/, `a whole number from 1 to ${MAX_JOBS}`, 1, MAX_JOBS);

export const blockId: NumberParser = numberParser(/^\d{1,8}$/, 'a block id: give a whole number, such as 1');

const seconds = numberParser(/^\d{1,9}(\.\d{1,9})?$/, 'a number of seconds');

export const collect =
  <T>(parse: (text: string) => T) =>
  (text: string, before: readonly T[] | undefined): T[] => [...(before ?? []), parse(text)];

/** Parses a REF that selects a single node. @throws {@link PageStoreError} `INVALID_REF` */
export function parseSingleRef(text: string, file: string): { readonly block: number; readonly slot: number } {
  const { block, from, to } = parseRef(text);
  if (from !== undefined && from === to) return { block, slot: from };
  throw new PageStoreError('INVALID_REF', `expected a single node, block:slot, not '${text}'`, { file });
}
