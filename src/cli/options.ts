import { type Command, InvalidArgumentError, Option } from 'commander';
import type { PageFormat } from '../format/page-header.ts';
import { COLOR, PLAIN, type Style } from '../report/style.ts';
import type { Context } from './context.ts';
import { type Encoding, ENCODINGS } from './encoding.ts';
import { type Framing, FRAMINGS } from './framing.ts';

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
