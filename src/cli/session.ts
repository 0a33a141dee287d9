import { PageStoreError } from '../errors.ts';
import { jsonLine, SCHEMA_VERSION } from '../report/json.ts';
import { PageStore } from '../store/page-store.ts';
import type { OpenOptions } from '../store/store-options.ts';
import type { Context } from './context.ts';
import type { CommonOptions } from './options.ts';

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
