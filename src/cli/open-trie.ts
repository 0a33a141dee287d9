import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join, parse } from 'node:path';
import { PageStoreError } from '../errors.ts';
import { open } from '../store/page-store.ts';
import { openTrie, type Trie } from '../trie/trie.ts';
import { type CommandRun, withOpen } from './command.ts';
import { withAdvice } from './errors.ts';
import { decodeText, type Encoding } from './framing.ts';

/** Opens the trie of a page file, and says on standard error if there is a log whose changes are not in it. */
export async function withTrie<T>(run: CommandRun, file: string, work: (trie: Trie) => Promise<T>): Promise<T> {
  let opening = open(file, { access: 'read', signal: run.signal });
  opening = opening.catch((error: unknown) => {
    throw isVocabulary(error, file) ? vocabularyError(file) : error;
  });
  return withOpen(opening, async (store) => {
    const log = logOf(file);
    let trie: Trie;
    try {
      trie = await openTrie(store);
    } catch (error) {
      // Before its first checkpoint, a trie is in its log alone.
      throw log === undefined ? error : withAdvice(error, 'NO_TRIE', `the log ${log} may have terms, and is not read`);
    }
    if (log !== undefined) await run.note(`${file}: the log ${log} is not read: what is only in it is not included`);
    return work(trie);
  });
}

/** Bytes of an argument in the encoding of the terms. */
export function termArgument(text: string | undefined, encoding: Encoding): Uint8Array | undefined {
  return text === undefined ? undefined : decodeText(text, encoding);
}

/** A log without records, which every new trie has. */
const EMPTY_LOG_BYTES = 64;

/** The log of libdictenstein beside a page file; undefined without records. */
function logOf(file: string): string | undefined {
  const { dir, name } = parse(file);
  const path = join(dir, `${name}.wal`);
  try {
    return statSync(path).size > EMPTY_LOG_BYTES ? path : undefined;
  } catch {
    return undefined; // none, or one that cannot be reached: there is nothing to say of it
  }
}

const VOCABULARY_MAGIC = 'VOCB';

function isVocabulary(error: unknown, file: string): boolean {
  if (!(error instanceof PageStoreError && error.code === 'NOT_A_PAGE_FILE')) return false;
  // A folder cannot be read, and a pipe would wait.
  if (!statSync(file).isFile()) return false;
  const magic = Buffer.alloc(VOCABULARY_MAGIC.length);
  const descriptor = openSync(file, 'r');
  try {
    readSync(descriptor, magic, 0, magic.length, 0);
  } finally {
    closeSync(descriptor);
  }
  return magic.toString('latin1') === VOCABULARY_MAGIC;
}

function vocabularyError(file: string): PageStoreError {
  const message = 'a vocabulary of libdictenstein (it begins with VOCB), not a page file; only byte tries can be read';
  return new PageStoreError('OTHER_TRIE', message, { file, found: VOCABULARY_MAGIC });
}
