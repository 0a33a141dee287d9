import type { DiskManager } from '../disk/disk-manager.ts';
import { PageStoreError } from '../errors.ts';
import { fileOffset } from '../format/layout.ts';

/** A change after which libdictenstein would read other terms from a file with a trie. */
export type TrieHarm = 'append' | 'allocate' | 'addPage' | 'update';

/** libdictenstein takes block N + 1 for arena N, whatever the next block of the file is. */
const MORE_BLOCKS = 'with another block libdictenstein reads other terms after its next checkpoint';

const REASONS: Readonly<Record<TrieHarm, string>> = {
  append: `nodes that are appended may need a block, and ${MORE_BLOCKS}; store them in another file`,
  allocate: `${MORE_BLOCKS}; allocate blocks in another file`,
  addPage: `${MORE_BLOCKS}; store the page in another file`,
  update:
    'a node that is replaced may be one of the trie, which then has other terms or none; change terms with the program that owns the trie',
};

/** Refuses what would harm the trie of a file, unless the caller knows better. */
export class TrieGuard {
  readonly #disk: DiskManager;
  readonly #evenIfTrie: boolean;

  constructor(disk: DiskManager, evenIfTrie: boolean) {
    this.#disk = disk;
    this.#evenIfTrie = evenIfTrie;
  }

  get #isGuarded(): boolean {
    return this.#disk.header.rootPointer !== 0n && !this.#evenIfTrie;
  }

  /** @throws {@link PageStoreError} `FILE_HAS_TRIE`, before anything is written */
  assertHarmless(harm: TrieHarm): void {
    if (!this.#isGuarded) return;
    const message = `the file holds a trie of libdictenstein (its root pointer is set): ${REASONS[harm]}`;
    throw new PageStoreError('FILE_HAS_TRIE', message, { file: this.#disk.name });
  }

  /** @throws {@link PageStoreError} `BLOCK_IN_USE` */
  assertMayFree(block: number): void {
    if (!this.#isGuarded) return;
    const message = `block ${block} may hold nodes of the trie in this file, whose root pointer is set: blocks of such a file cannot be freed`;
    throw new PageStoreError('BLOCK_IN_USE', message, { file: this.#disk.name, block, offset: fileOffset(block) });
  }
}
