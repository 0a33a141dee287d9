import { EXPORT_SCHEMA } from './export-lines.ts';
import { type Fields, fieldError, lineError, shown, wholeNumber } from './import-fields.ts';

/** What was made of JSON Lines. */
export interface ImportSummary {
  /** Whether nodes have the refs of the export (`kept`), or were packed in their order (`new`). */
  readonly refs: 'kept' | 'new';
  /** Blocks of the file, block 0 counted. */
  readonly blocks: number;
  readonly pages: number;
  readonly freeBlocks: number;
  readonly nodes: number;
  /** Of all nodes. */
  readonly bytes: number;
}

/** Turns lines into a page file, one after the other. */
export interface LineTaker {
  /** Takes a line. @returns a promise where it has to be waited for; @throws {@link PageStoreError} for one that is wrong */
  take(type: string, fields: Fields): Promise<void> | undefined;
  /** Says that there are no more lines, and finishes the file. @throws {@link PageStoreError} where lines are missing */
  finish(): Promise<ImportSummary>;
}

/** How nodes of which some are missing can be stored all the same. */
export const PACK_ADVICE = `to store the nodes anew, in their order: jq -c 'select(.type == "node") | del(.ref)'`;

/** @throws {@link PageStoreError} `INVALID_LINE` for lines of a later version */
export function assertSchema(fields: Fields): void {
  const schema = wholeNumber(fields, 'schema', 1, Number.MAX_SAFE_INTEGER);
  if (schema > EXPORT_SCHEMA)
    throw fieldError(fields, 'schema', `at most ${EXPORT_SCHEMA}: a later version wrote these lines`);
}

/** @throws {@link PageStoreError} `INVALID_LINE` where a summary counts something else than there was */
export function assertCount(fields: Fields, name: string, count: number): void {
  const told = fields[name];
  if (told !== count) {
    throw lineError(
      `the summary says ${shown(told)} ${name}, and there were ${count}: lines are missing, or were changed; ${PACK_ADVICE}`,
      told,
    );
  }
}
