import { oneLine } from '../bytes/quoting.ts';
import { plural } from '../report/text.ts';
import type { Context } from './context.ts';

const FIRST_AFTER_MS = 1000;
const BAR_CHARACTERS = 24;

/** Tells stderr how far a long piece of work has come: a bar on a terminal, a line now and then elsewhere. */
export class Progress {
  readonly #context: Context;
  readonly #what: () => string;
  readonly #unit: (amount: number) => string;
  readonly #quiet: boolean;
  readonly #began = performance.now();
  readonly #everyMs: number;
  #nextAt: number;
  #drawn = false;

  /**
   * @param what - what is at work, or a function that says what is by now
   * @param unit - writes an amount, such as bytes or blocks, for people
   */
  constructor(context: Context, what: string | (() => string), unit: (amount: number) => string, quiet: boolean) {
    this.#context = context;
    this.#what = typeof what === 'string' ? () => what : what;
    this.#unit = unit;
    this.#quiet = quiet;
    this.#everyMs = context.stderr.isTerminal ? 100 : 5000;
    this.#nextAt = this.#began + FIRST_AFTER_MS;
  }

  /** To be called often; it does nothing until something is due. */
  async update(done: number, total: number | undefined): Promise<void> {
    if (this.#quiet) return;
    const now = performance.now();
    if (now < this.#nextAt) return;
    this.#nextAt = now + this.#everyMs;
    const seconds = (now - this.#began) / 1000;
    const line = `${oneLine(this.#what())}: ${this.#text(done, total, seconds)}`;
    const { stderr } = this.#context;
    await stderr.write(stderr.isTerminal ? `\r\u001b[K${line}` : `${line}\n`);
    await stderr.flush();
    this.#drawn = stderr.isTerminal;
  }

  /** Does the work that is told of, and takes the bar away however it ends, so that what is written next has a line of its own. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      await this.clear();
    }
  }

  /** Takes the bar away until the next update. */
  async clear(): Promise<void> {
    if (!this.#drawn) return;
    await this.#context.stderr.write('\r\u001b[K');
    await this.#context.stderr.flush();
    this.#drawn = false;
  }

  #text(done: number, total: number | undefined, seconds: number): string {
    const rate = `${this.#unit(done / seconds)}/s`;
    if (total === undefined || total === 0) return `${this.#unit(done)}, ${rate}`;
    const share = Math.min(1, done / total);
    const left = share === 0 ? '' : `, ${Math.ceil((seconds * (1 - share)) / share)} s left`;
    const bar = '#'.repeat(Math.round(share * BAR_CHARACTERS)).padEnd(BAR_CHARACTERS, '.');
    const shown = this.#context.stderr.isTerminal ? `[${bar}] ` : '';
    return `${shown}${Math.floor(100 * share)}% of ${this.#unit(total)}, ${rate}${left}`;
  }
}

/** An amount of bytes for people: `1.5 MiB`. */
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

/** An amount of blocks for people. */
export function blocksText(blocks: number): string {
  return plural(Math.round(blocks), 'block');
}
