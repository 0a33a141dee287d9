import { assertBytes, checkOptions, isBytes, wrongType } from '../arguments.ts';
import { KeyMap } from '../arena/key-map.ts';
import { utf8Bytes, writeUtf8 } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';
import type { Page } from '../format/page.ts';
import { isLostEntry } from '../format/slots.ts';
import { PageRef } from '../store/page-ref.ts';
import type { PagesOptions } from '../store/page-reader.ts';
import { PageStore } from '../store/page-store.ts';
import { MAX_KEY_BYTES } from './csv-keys.ts';

/** The node of a key. */
export interface FoundKey {
  readonly ref: PageRef;
  /** The value is all bytes of the node from here on. */
  readonly valueOffset: number;
}

export interface FindKeysOptions extends PagesOptions {
  /** Called after each page that was searched. */
  readonly onProgress?: (block: number, blockCount: number) => void | Promise<void>;
  /** Stops between two blocks; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Finds the nodes of keys, as `importCsv` stores them, by one scan from the first page until all are found. A node has a
 * key if it begins with the length of the key as u16, little-endian, and the key; or if it is the key, without a value.
 * @param keys - bytes, or text, which is taken as UTF-8
 * @returns for each key the first node that has it, or undefined
 * @throws TypeError; {@link PageStoreError} as `PageStore.pages`; the reason of `signal`
 */
export async function findKeys(
  store: PageStore,
  keys: Iterable<Uint8Array | string>,
  options: FindKeysOptions = {},
): Promise<(FoundKey | undefined)[]> {
  const { found, error } = await searchKeys(store, keys, options);
  if (error) throw error;
  return found;
}

/** What was found of the keys before a lost page was noticed, and the error of that. @internal */
export interface SearchedKeys {
  readonly found: (FoundKey | undefined)[];
  readonly error?: PageStoreError;
}

/** As {@link findKeys}. @internal */
export async function searchKeys(
  store: PageStore,
  keys: Iterable<Uint8Array | string>,
  options: FindKeysOptions = {},
): Promise<SearchedKeys> {
  if (!(store instanceof PageStore)) throw wrongType('findKeys: store', 'a PageStore', store);
  if (typeof keys !== 'object' || keys === null || ArrayBuffer.isView(keys) || !keys[Symbol.iterator])
    throw new TypeError('findKeys: keys must be an iterable of strings and Uint8Arrays, such as an array');
  checkOptions('findKeys', options, { onLostPage: 'function', onProgress: 'function', signal: 'signal' });
  const { onProgress, signal, ...pagesOptions } = options;
  const wanted = new WantedKeys();
  const entries = Array.from(keys, (key) => wanted.add(key));
  if (wanted.missing > 0) {
    // Also before blocks that are skipped, of which there may be many.
    const beforeBlock = (): void => signal?.throwIfAborted();
    try {
      for await (const { block, page } of store.pages({ ...pagesOptions, onProgress: beforeBlock })) {
        wanted.findIn(block, page);
        if (wanted.missing === 0) break;
        await onProgress?.(block, store.blockCount);
      }
    } catch (error) {
      if (!(error instanceof PageStoreError)) throw error;
      return { found: entries.map((entry) => wanted.found(entry)), error };
    }
  }
  return { found: entries.map((entry) => wanted.found(entry)) };
}

class WantedKeys {
  readonly #keys = new KeyMap<FoundKey>();
  /** 1 for each length that a wanted key has, so that most nodes are not hashed. */
  readonly #lengths = new Uint8Array(MAX_KEY_BYTES + 1);
  /** Keys that no node has been found for. */
  missing = 0;

  add(key: Uint8Array | string): number {
    if (typeof key !== 'string' && !isBytes(key))
      throw wrongType('findKeys: each of keys', 'a string or a Uint8Array', key);
    if (typeof key !== 'string') assertBytes('findKeys', 'each of keys', key);
    const bytes = typeof key === 'string' ? new Uint8Array(utf8Bytes(key)) : key;
    if (typeof key === 'string') writeUtf8(key, bytes, 0);
    const entry = this.#keys.entryOf(bytes);
    // No node has a longer key.
    if (bytes.length <= MAX_KEY_BYTES) this.#lengths[bytes.length] = 1;
    this.missing = this.#keys.size;
    return entry;
  }

  found(entry: number): FoundKey | undefined {
    return this.#keys.valueAt(entry);
  }

  findIn(block: number, { block: bytes, directory }: Page): void {
    for (let slot = 0; slot < directory.count && this.missing > 0; slot++) {
      // It would be found as an empty key.
      if (isLostEntry(directory, slot)) continue;
      const start = directory.nodeOffset(slot);
      const length = directory.nodeBytes(slot);
      const keyLength = length < 2 ? NaN : (bytes[start] as number) + 256 * (bytes[start + 1] as number); // in the node
      if (2 + keyLength <= length && this.#lengths[keyLength] === 1)
        this.#find(bytes, start + 2, keyLength, block, slot, 2 + keyLength);
      if (this.#lengths[length] === 1) this.#find(bytes, start, length, block, slot, length);
    }
  }

  #find(bytes: Uint8Array, start: number, length: number, block: number, slot: number, valueOffset: number): void {
    const entry = this.#keys.find(bytes, start, start + length);
    if (entry < 0 || this.#keys.valueAt(entry) !== undefined) return;
    this.#keys.setValueAt(entry, { ref: new PageRef(block, slot), valueOffset });
    this.missing--;
  }
}
