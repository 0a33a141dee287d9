import type { Problem } from '../format/invariants.ts';
import { shellFile } from '../verify/next-command.ts';
import type { Context } from './context.ts';
import { oneLine } from './one-line.ts';

/** Says that a page is left out, since no reader knows it for one. */
export async function noteLostPage({ stderr }: Context, file: string, { message }: Problem): Promise<void> {
  const next = `none of its nodes is written; artrie-pages repair --dry-run ${shellFile(file)} shows how it is put right`;
  await stderr.write(`artrie-pages: ${oneLine(`${file}: ${message}; ${next}`)}\n`);
}
