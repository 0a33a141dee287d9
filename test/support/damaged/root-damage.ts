import { type Damage, type Draft, error, warning } from './draft.ts';

/** Adds a trie to the file: a root pointer, and a root descriptor with an ART node in slot 0 of block 1. */
export function plantTrie(draft: Draft, change: () => void = () => undefined): void {
  draft.u64(16, 64n << 18n);
  draft.set(64, '0200');
  draft.u32(66, 28);
  draft.u32(70, 2);
  draft.u64(74, (1n << 40n) | 4n);
  change();
  draft.sealHeader();
  draft.sealCopy();
}

const record = (block: bigint, slot: bigint, type: bigint): bigint => (block << 40n) | (slot << 18n) | type;

/** Damage to the root pointer and the root descriptor. */
export const ROOT_DAMAGE: Readonly<Record<string, Damage>> = {
  'trie-too-few-arenas': {
    base: 'v1.part',
    description: 'The root descriptor counts 0 arenas, and its root record is in block 1.',
    change: (file) => plantTrie(file, () => file.u32(70, 0)),
    expect: [error('TRIE_ARENA_COUNT', 0, 70), error('TRIE_BLOCK_COUNT', 0, 24)],
  },
  'trie-more-blocks': {
    base: 'v1.part',
    description: 'A file of 3 blocks with a trie of one arena, as after an allocation.',
    change: (file) => plantTrie(file, () => file.u32(70, 1)),
    expect: [error('TRIE_BLOCK_COUNT', 0, 24)],
  },
  'trie-free-blocks': {
    base: 'free.part',
    description: 'A file with a trie of 5 arenas, of which three blocks were freed.',
    change: (file) => plantTrie(file, () => file.u32(70, 5)),
    expect: [error('TRIE_FREE_BLOCKS', 0, 32)],
  },
  'trie-v2-pages': {
    base: 'v2.part',
    description: 'A file with a trie whose pages are V2.',
    change: (file) => plantTrie(file),
    expect: [error('TRIE_PAGE_FORMAT', 1, 0), error('TRIE_PAGE_FORMAT', 2, 0)],
  },
  'root-pointer-in-memory': {
    base: 'v1.part',
    description: 'The root pointer has bit 63 set; the checksum is valid.',
    change: (file) => {
      file.u64(16, 1n << 63n);
      file.sealHeader();
      file.sealCopy();
    },
    expect: [error('ROOT_POINTER', 0, 16)],
  },
  'root-pointer-outside': {
    base: 'v1.part',
    description: 'The root pointer points to block 9 of a file of 3.',
    change: (file) => {
      file.u64(16, record(9n, 0n, 4n));
      file.sealHeader();
      file.sealCopy();
    },
    expect: [error('ROOT_POINTER', 0, 16)],
  },
  'root-pointer-beside-descriptor': {
    base: 'v1.part',
    description: 'The root pointer points to byte 65 of block 0, one byte after the root descriptor.',
    change: (file) => {
      file.u64(16, 65n << 18n);
      file.sealHeader();
      file.sealCopy();
    },
    expect: [error('ROOT_POINTER', 0, 16)],
  },
  'root-type': {
    base: 'v1.part',
    description: 'The root descriptor has root type 7.',
    change: (file) => plantTrie(file, () => file.set(64, '07')),
    expect: [error('ROOT_DESCRIPTOR', 0, 64)],
  },
  'root-is-final': {
    base: 'v1.part',
    description: 'The root descriptor has isFinal 2.',
    change: (file) => plantTrie(file, () => file.set(65, '02')),
    expect: [error('ROOT_DESCRIPTOR', 0, 65)],
  },
  'root-arena-count': {
    base: 'v1.part',
    description: 'The root descriptor counts more arenas than the file has pages.',
    change: (file) => plantTrie(file, () => file.u32(70, 3)),
    expect: [error('ROOT_DESCRIPTOR', 0, 70)],
  },
  'root-record-outside': {
    base: 'v1.part',
    description: 'The root descriptor points to a record in block 3 of a file of blocks 0 to 2.',
    change: (file) => plantTrie(file, () => file.u64(74, record(3n, 0n, 4n))),
    expect: [error('ROOT_DESCRIPTOR', 0, 74)],
  },
  'root-record-no-slot': {
    base: 'v1.part',
    description: 'The root descriptor points to slot 20 of a page with slots 0 to 19.',
    change: (file) => plantTrie(file, () => file.u64(74, record(1n, 20n, 4n))),
    expect: [error('ROOT_DESCRIPTOR', 0, 74)],
  },
  'root-record-char-trie': {
    base: 'v1.part',
    description: 'The root descriptor points to a node of type 104, which belongs to another kind of trie.',
    change: (file) => plantTrie(file, () => file.u64(74, record(1n, 0n, 104n))),
    expect: [error('ROOT_DESCRIPTOR', 0, 74)],
  },
  'root-empty-with-record': {
    base: 'v1.part',
    description: 'The root type is that of an empty trie, but the root descriptor points to a record.',
    change: (file) => plantTrie(file, () => file.set(64, '00')),
    expect: [error('ROOT_DESCRIPTOR', 0, 74)],
  },
  'root-descriptor-bit': {
    base: 'v1.part',
    description: 'One bit of termCount in the root descriptor has flipped, which only the header copy can show.',
    change: (file) => {
      plantTrie(file);
      file.flip(67, 3);
    },
    expect: [warning('ROOT_DESCRIPTOR', 0, 64)],
  },
  'root-sound': {
    base: 'v1.part',
    description: 'A valid file with a trie: entryCount is then the number of its terms, which verify does not count.',
    change: (file) =>
      plantTrie(file, () => {
        file.u64(40, 5n);
      }),
    expect: [],
  },
};
