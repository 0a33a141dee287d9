import type { Command } from 'commander';
import { oneLine } from '../bytes/text.ts';
import { PageStoreError } from '../errors.ts';
import { COLOR, jsonLine, PLAIN, SCHEMA_VERSION, type Style } from '../report/reporter.ts';
import { plural } from '../report/text.ts';
import { type Context, Interrupted, type Output } from './context.ts';
import type { CommonOptions } from './options.ts';
import { progressLine, type ProgressState } from './progress-line.ts';

/** Adds the arguments and options of a command to commander, and the action that starts it. */
export type AddCommand = (command: Command, start: StartCommand) => void;

/** Runs a command. The exit code is what `body` returns, or 0. */
export type StartCommand = (options: CommonOptions, body: (run: CommandRun) => Promise<number | void>) => Promise<void>;

/** One run of a command: prints results as text or as JSON Lines, and notes and progress on standard error. */
export class CommandRun {
  readonly context: Context;
  readonly stdout: Output;
  readonly signal: AbortSignal;
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly style: Style;
  readonly #command: string;

  constructor(command: string, context: Context, { json = false, quiet = false, color }: CommonOptions) {
    const { stdout, env, signal } = context;
    this.context = context;
    this.stdout = stdout;
    this.signal = signal;
    this.isJson = json;
    this.isQuiet = quiet;
    const isColored = stdout.isTerminal && color && (env['NO_COLOR'] ?? '') === '' && !isDumb(env);
    this.style = isColored ? COLOR : PLAIN;
    this.#command = command;
  }

  /** Prints one result: a line of text, or with --json the fields as a JSON line. */
  async row(text: string, type: string, fields: () => object): Promise<void> {
    if (this.isJson) await this.json(type, fields);
    else await this.stdout.write(`${text}\n`);
  }

  /** Prints lines, each with its line feed; nothing with --json. */
  async text(lines: Iterable<string>): Promise<void> {
    if (!this.isJson) await this.lines(lines);
  }

  async json(type: string, fields: () => object): Promise<void> {
    if (this.isJson && !this.stdout.closed) await this.stdout.write(jsonLine(type, fields()));
  }

  /** Prints lines until the reader has gone. */
  async lines(lines: Iterable<string>): Promise<void> {
    for (const line of lines) {
      if (this.stdout.closed) return;
      await this.stdout.write(line);
    }
  }

  /** Prints the last JSON line; nothing without --json. */
  async summary(file: string, fields: object): Promise<void> {
    if (!this.isJson) return;
    await this.stdout.write(jsonLine('summary', { schema: SCHEMA_VERSION, command: this.#command, file, ...fields }));
  }

  /** Prints a line on standard error, unless --quiet is given. */
  async note(text: string): Promise<void> {
    if (!this.isQuiet) await this.warn(text);
  }

  /** Tells who pressed Ctrl-C what was saved; nothing for other errors, in logs, and with --quiet. */
  async noteInterrupted(error: unknown, file: string, saved: string): Promise<void> {
    const { stderr } = this.context;
    if (error instanceof Interrupted && !this.isQuiet && stderr.isTerminal)
      await stderr.write(`${oneLine(file)}: interrupted; ${saved}\n`);
  }

  /** Prints a line on standard error, with --quiet too. */
  async warn(text: string): Promise<void> {
    await this.context.stderr.write(`artrie-pages: ${oneLine(text)}\n`);
  }

  async withProgress<T>(options: ProgressOptions, work: (progress: Progress) => Promise<T>): Promise<T> {
    const isSilent = this.isQuiet || (options.hasRows === true && this.stdout.isTerminal);
    const { stderr, env } = this.context;
    const progress = new Progress(stderr, options, isSilent, stderr.isTerminal && !isDumb(env));
    try {
      return await work(progress);
    } finally {
      await progress.clear();
    }
  }
}

/** A terminal that neither colours text nor moves its cursor, such as the shell of an editor. */
function isDumb(env: Context['env']): boolean {
  return env['TERM'] === 'dumb';
}

export interface ProgressOptions {
  readonly what: string | (() => string);
  readonly unit: (amount: number) => string;
  /** Whether the command prints rows meanwhile: no progress is shown if they go to a terminal. */
  readonly hasRows?: boolean;
}

const FIRST_AFTER_MS = 1000;

/** Shows on standard error how far work has got: a bar on a terminal, else a line every few seconds. */
export class Progress {
  readonly #stderr: Output;
  readonly #what: () => string;
  readonly #unit: (amount: number) => string;
  #isSilent: boolean;
  readonly #startMs = performance.now();
  readonly #isBar: boolean;
  readonly #intervalMs: number;
  #nextMs = this.#startMs + FIRST_AFTER_MS;
  #isShown = false;

  /** @param isBar - one line that is written again and again, which moves the cursor */
  constructor(stderr: Output, { what, unit }: ProgressOptions, isSilent: boolean, isBar: boolean) {
    this.#stderr = stderr;
    this.#isBar = isBar;
    this.#what = typeof what === 'string' ? () => what : what;
    this.#unit = unit;
    this.#isSilent = isSilent;
    this.#intervalMs = isBar ? 100 : 5000;
  }

  /** To be called often; does nothing until the next update is due. */
  readonly update = async (done: number, total: number | undefined): Promise<void> => {
    if (this.#isSilent) return;
    const now = performance.now();
    if (now < this.#nextMs) return;
    this.#nextMs = now + this.#intervalMs;
    const state = this.#state(done, total, (now - this.#startMs) / 1000);
    const line = this.#isBar ? progressLine(state, this.#stderr.columns) : `${state.name}: ${state.forms[0]}`;
    await this.#show(this.#isBar ? `\r\u001b[K${line}` : `${line}\n`);
    this.#isShown = this.#isBar;
  };

  /** Removes the bar until the next update, so that other output starts on a line of its own. */
  async clear(): Promise<void> {
    if (!this.#isShown) return;
    await this.#show('\r\u001b[K');
    this.#isShown = false;
  }

  /** A failure must not end the work; the exit code reports it. */
  async #show(text: string): Promise<void> {
    try {
      await this.#stderr.write(text);
      await this.#stderr.flush();
    } catch {
      this.#isSilent = true;
    }
  }

  #state(done: number, total: number | undefined, seconds: number): ProgressState {
    const name = oneLine(this.#what());
    const rate = `${this.#unit(done / seconds)}/s`;
    const amount = this.#unit(done);
    if (total === undefined || total === 0) return { name, share: undefined, forms: [`${amount}, ${rate}`, amount] };
    const share = Math.min(1, done / total);
    const percent = `${Math.floor(100 * share)}%`;
    const left = share === 0 ? '' : `, ${Math.ceil((seconds * (1 - share)) / share)} s left`;
    const full = `${percent} of ${this.#unit(total)}, ${rate}${left}`;
    return { name, share, forms: [full, `${percent}, ${rate}${left}`, `${percent}${left}`, percent] };
  }
}

export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let amount = bytes;
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(amount) : amount.toFixed(1)} ${units[unit] ?? ''}`;
}

export function blocksText(blocks: number): string {
  return plural(Math.round(blocks), 'block');
}

/** Runs `work` and closes the file; the error of `work` takes precedence and gets the name of the file. */
export async function withOpen<File extends { readonly name: string; close(): Promise<void> }, T>(
  opening: Promise<File>,
  work: (file: File) => Promise<T>,
): Promise<T> {
  const file = await opening;
  let result: T;
  try {
    result = await work(file);
  } catch (error) {
    await file.close().catch(() => undefined); // likely fails for the same reason
    if (!(error instanceof PageStoreError) || error.detail.file !== undefined) throw error;
    throw new PageStoreError(error.code, error.message, { ...error.detail, file: file.name }, error.cause);
  }
  await file.close();
  return result;
}
