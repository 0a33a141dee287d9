import { problemError } from '../disk/page-file.ts';
import { PageStoreError } from '../errors.ts';
import { ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { rootProblems } from '../format/header-checks.ts';
import { decodePointer, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { hex } from '../format/problem.ts';
import type { PageStore } from '../store/page-store.ts';
import { decodeTrieRecord, packPlace, type TrieRecord, unpackPlace } from './record.ts';

/** `CHARARNA`, the magic of the pages of a char trie. */
const CHAR_ARENA_MAGIC = Buffer.from('CHARARNA');

const ROOT_BUCKET = 1;
const ROOT_NODE = 2;

/** A record has 16 bytes or more, so a page has at most so many. */
const MAX_RECORDS_PER_PAGE = 16_384;

/** The records of a trie, as places in a file, and where they begin. */
export class TrieFile {
  readonly store: PageStore;
  /** The place of the root record; undefined for an empty trie. */
  readonly root: number | undefined;
  readonly isRootBucket: boolean;
  /** Whether the path of the root node is a term. */
  readonly isRootFinal: boolean;
  /** As the file says: 0 or too low in some files. */
  readonly termCount: number;
  readonly #arenaCount: number;

  private constructor(store: PageStore) {
    const { rootType, rootRecord, isFinal, termCount, arenaCount } = ROOT_DESCRIPTOR.read(
      store.disk.start,
      ROOT_DESCRIPTOR_OFFSET,
    );
    this.store = store;
    this.root = rootType === ROOT_NODE || rootType === ROOT_BUCKET ? packPlace(decodePointer(rootRecord)) : undefined;
    this.isRootBucket = rootType === ROOT_BUCKET;
    this.isRootFinal = isFinal === 1;
    this.termCount = termCount;
    this.#arenaCount = arenaCount;
  }

  /** @throws {@link PageStoreError} `NO_TRIE`, `OTHER_TRIE`, `ROOT_POINTER`, `ROOT_DESCRIPTOR`, `IO` */
  static async open(store: PageStore): Promise<TrieFile> {
    const { disk, name: file } = store;
    const { header, start } = disk;
    if (header.rootPointer === 0n) {
      const message = 'the file has no trie: its root pointer is 0; read prints the nodes of its pages';
      throw new PageStoreError('NO_TRIE', message, { file });
    }
    await assertByteTrie(store);
    for (const problem of rootProblems(header, start, store.blockCount)) throw problemError(disk, problem);
    const { block } = decodePointer(header.rootPointer);
    if (block !== 0) {
      const message = `the root pointer points to block ${block}, the root descriptor is in block 0`;
      throw new PageStoreError('ROOT_POINTER', message, { file, block: 0, found: hex(header.rootPointer, 16) });
    }
    return new TrieFile(store);
  }

  /** More nodes than this are not in the file. */
  get maxNodes(): number {
    return this.#arenaCount * MAX_RECORDS_PER_PAGE;
  }

  /** Decodes a record if its page is in the cache. @throws as {@link read} */
  tryRead(target: number): TrieRecord | undefined {
    const place = unpackPlace(target);
    const bytes = place.block > this.#arenaCount ? undefined : this.store.tryView(place);
    return bytes && this.#decode(target, bytes);
  }

  /**
   * @param parent - the record that points to it, for messages; undefined for the root
   * @throws {@link PageStoreError} `TRIE_POINTER` if there is no such record, `TRIE_NODE` if it is damaged, the code of damage
   * in its page, `IO`
   */
  async read(target: number, parent: number | undefined): Promise<TrieRecord> {
    const place = unpackPlace(target);
    if (place.block > this.#arenaCount) {
      const arenas = `the trie has blocks 1 to ${this.#arenaCount}`;
      if (parent === undefined && place.block < this.store.blockCount) {
        const message = `root descriptor: arenaCount is ${this.#arenaCount}, but the root record is in block ${place.block}`;
        throw new PageStoreError('ROOT_DESCRIPTOR', message, { file: this.store.name, block: 0 });
      }
      throw this.#pointerError(target, parent, arenas);
    }
    let bytes: Uint8Array;
    try {
      bytes = await this.store.view(place);
    } catch (error) {
      if (!(error instanceof PageStoreError && NO_RECORD.has(error.code))) throw error;
      throw this.#pointerError(target, parent, error.message, error);
    }
    return this.#decode(target, bytes);
  }

  /** An error that names the file too. */
  errorAt(code: 'TRIE_CYCLE' | 'TRIE_NODE', target: number, message: string): PageStoreError {
    return new PageStoreError(code, message, { file: this.store.name, ...unpackPlace(target) });
  }

  #decode(target: number, bytes: Uint8Array): TrieRecord {
    const record = this.#decoded(target, bytes);
    if (target === this.root && 'suffixes' in record !== this.isRootBucket) {
      const expected = this.isRootBucket ? 'a bucket' : 'a node';
      throw this.errorAt('TRIE_NODE', target, `the root record is not ${expected}, as the root descriptor says`);
    }
    return record;
  }

  #decoded(target: number, bytes: Uint8Array): TrieRecord {
    try {
      return decodeTrieRecord(bytes, unpackPlace(target));
    } catch (error) {
      if (!(error instanceof PageStoreError)) throw error;
      throw new PageStoreError(error.code, error.message, { ...error.detail, file: this.store.name }, error);
    }
  }

  #pointerError(target: number, parent: number | undefined, reason: string, cause?: unknown): PageStoreError {
    const { block, slot } = unpackPlace(target);
    const from = parent === undefined ? undefined : unpackPlace(parent);
    const source = from ? `the trie record at ${from.block}:${from.slot}` : 'the root descriptor';
    const message = `${source} points to ${block}:${slot}, where no record is: ${reason}`;
    return new PageStoreError('TRIE_POINTER', message, { file: this.store.name, block, slot }, cause);
  }
}

/** Codes of an error that says that there is no node at a ref. */
const NO_RECORD: ReadonlySet<string> = new Set([
  'BLOCK_RANGE',
  'BLOCK_FREE',
  'BLOCK_UNKNOWN',
  'SLOT_RANGE',
  'SLOT_LOST',
]);

/** @throws {@link PageStoreError} `OTHER_TRIE` if block 1 is a page of a char trie */
async function assertByteTrie({ disk, blockCount }: PageStore): Promise<void> {
  if (blockCount < 2) return;
  const magic = new Uint8Array(CHAR_ARENA_MAGIC.length);
  await disk.read(1, magic);
  if (Buffer.compare(magic, CHAR_ARENA_MAGIC) !== 0) return;
  const message = 'the file has a char trie (its pages begin with CHARARNA); only byte tries can be read';
  throw new PageStoreError('OTHER_TRIE', message, { file: disk.name, block: 1, found: 'CHARARNA' });
}
