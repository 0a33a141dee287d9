import { jsonLine, SCHEMA_VERSION } from '../report/json.ts';
import type { Context } from './context.ts';
import type { CommonOptions } from './options.ts';

/** Prints what a command has to say, as text or as JSON Lines. */
export class Printer {
  readonly #context: Context;
  readonly #json: boolean;

  constructor(context: Context, options: CommonOptions) {
    this.#context = context;
    this.#json = options.json === true;
  }

  /** Whether nobody reads any more. */
  get closed(): boolean {
    return this.#context.stdout.closed;
  }

  /** One thing: a line of text, or a JSON line with the same in fields. */
  async item(text: string, type: string, fields: () => object): Promise<void> {
    if (this.#json) await this.json(type, fields);
    else await this.#context.stdout.write(`${text}\n`);
  }

  /** A JSON line that text output does without. */
  async json(type: string, fields: () => object): Promise<void> {
    if (this.#json && !this.closed) await this.#context.stdout.write(jsonLine(type, fields()));
  }

  /** Text that JSON output does without. */
  async text(lines: Iterable<string>): Promise<void> {
    if (this.#json) return;
    for (const line of lines) {
      if (this.closed) return;
      await this.#context.stdout.write(line);
    }
  }

  /** The last line of JSON output. */
  async summary(command: string, file: string, fields: object): Promise<void> {
    if (!this.#json) return;
    await this.#context.stdout.write(jsonLine('summary', { schema: SCHEMA_VERSION, command, file, ...fields }));
  }
}
