import { assertBytes, checkOptions } from '../arguments.ts';
import { compareBytes, equalRange } from '../bytes/buffer.ts';
import { PageStore } from '../store/page-store.ts';
import { isBucket } from './record.ts';
import type { TermBounds } from './term-range.ts';
import { TrieCursor } from './trie-cursor.ts';
import { TrieFile } from './trie-file.ts';

/** A term of a trie. Both are copies. */
export interface TrieTerm {
  readonly term: Uint8Array;
  /** The bytes of its value, of which the file does not say the type; undefined for a term without one. */
  readonly value: Uint8Array | undefined;
}

/** Options of {@link Trie.terms}. All bounds are compared by unsigned bytes. */
export interface TermsOptions extends TermBounds {
  /** Whether the last term comes first. False by default. */
  readonly reverse?: boolean | undefined;
}

/**
 * Opens the byte trie of libdictenstein in a page file:
 *
 * ```ts
 * await using store = await open('words.part', { access: 'read' });
 * const trie = await openTrie(store);
 * for await (const { term } of trie.terms({ prefix: Buffer.from('ab') })) use(term);
 * ```
 * It shows the page file alone: not what the log beside it has in addition.
 * @throws {@link PageStoreError} `NO_TRIE` for a file without a root pointer; `OTHER_TRIE` for a char trie; `ROOT_POINTER`,
 * `ROOT_DESCRIPTOR` if they are damaged; `IO`. TypeError unless `store` is a PageStore
 */
export async function openTrie(store: PageStore): Promise<Trie> {
  if (!(store instanceof PageStore)) throw new TypeError('openTrie: store must be a PageStore, as open returns it');
  return new Trie(await TrieFile.open(store));
}

/** The trie of one page file, as it was when {@link openTrie} was called. It reads through the cache of its store. */
export class Trie {
  readonly #file: TrieFile;

  /** @internal Use {@link openTrie}. */
  constructor(file: TrieFile) {
    this.#file = file;
  }

  /** The number of terms that the file says it has. It may be wrong, as no reader uses it. */
  get termCount(): number {
    return this.#file.termCount;
  }

  /**
   * The terms in byte order. Memory grows with the longest path, not with the number of terms.
   * @throws {@link PageStoreError} `TRIE_NODE`, `TRIE_POINTER`, `TRIE_CYCLE` at the first damage on the way, the code of the first
   * error in a page, `IO`. TypeError for wrong options
   */
  async *terms(options: TermsOptions = {}): AsyncGenerator<TrieTerm, void, undefined> {
    const cursor = this.cursor(options);
    for (let found = cursor.next(); found !== false; found = cursor.next()) {
      if (found === undefined) await cursor.load();
      else yield { term: new Uint8Array(cursor.term), value: cursor.value && new Uint8Array(cursor.value) };
    }
  }

  /** @internal As {@link terms}, without an allocation for each term. */
  cursor(options: TermsOptions = {}): TrieCursor {
    checkOptions('terms', options, { prefix: 'any', from: 'any', to: 'any', reverse: 'boolean' });
    const { prefix, from, to, reverse = false } = options;
    for (const [name, bytes] of Object.entries({ prefix, from, to }))
      if (bytes !== undefined) assertBytes('terms', `options.${name}`, bytes);
    return new TrieCursor(this.#file, { prefix, from, to }, reverse);
  }

  /**
   * Looks one term up. Only the pages on its path are read.
   * @returns undefined if it is not in the trie
   * @throws {@link PageStoreError} as {@link terms}
   */
  async lookup(term: Uint8Array): Promise<TrieTerm | undefined> {
    assertBytes('lookup', 'term', term);
    const file = this.#file;
    let target = file.root;
    let parent: number | undefined;
    let at = 0;
    // Each round but the last takes a byte of the term, so even a cycle ends.
    while (target !== undefined) {
      const record = file.tryRead(target) ?? (await file.read(target, parent));
      if (isBucket(record)) {
        const rest = term.subarray(at);
        const entry = record.suffixes.findIndex((suffix) => compareBytes(suffix, rest) === 0);
        return entry < 0 ? undefined : found(term, record.values[entry]);
      }
      const { prefix } = record;
      if (term.length - at < prefix.length || !equalRange(term, at, prefix, 0, prefix.length)) return undefined;
      at += prefix.length;
      if (at === term.length) {
        const isFinal = target === file.root ? file.isRootFinal : record.isFinal;
        return isFinal ? found(term, record.value) : undefined;
      }
      parent = target;
      target = record.targets[record.keys.indexOf(term[at] as number)]; // at < term.length
      at++;
    }
    return undefined;
  }
}

function found(term: Uint8Array, value: Uint8Array | undefined): TrieTerm {
  return { term: new Uint8Array(term), value: value && new Uint8Array(value) };
}
