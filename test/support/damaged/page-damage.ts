import { B, type Damage, error, info, warning } from './draft.ts';

/** Page 1 of the bases has 20 nodes, page 2 has 8: entryCount is 28. */
const COUNT = warning('ENTRY_COUNT', 0, 40);
const SUM = error('PAGE_CHECKSUM', 1, 24);
const NO_SUM = [info('PAGE_CHECKSUM_ABSENT', 1, 10), info('PAGE_CHECKSUM_ABSENT', 2, 10)];

/** Damage to page headers: magic, version, flags, bounds, checksum fields. */
export const PAGE_HEADER_DAMAGE: Readonly<Record<string, Damage>> = {
  'page-magic-bit': {
    base: 'v1.part',
    description: 'One bit of the magic of a V1 page has flipped.',
    change: (file) => file.flip(B + 3, 4),
    expect: [error('PAGE_MAGIC', 1, 0), COUNT],
  },
  'page-magic-zeroed': {
    base: 'v2.part',
    description: 'The magic of a V2 page is zero; the file has no trie, and the block is not on the free list.',
    change: (file) => file.zero(B, 8),
    expect: [error('PAGE_MAGIC', 1, 0), COUNT],
  },
  'page-magic-of-v2': {
    base: 'v1.part',
    description: 'A V1 page has the magic of V2: a reader misreads all of it.',
    change: (file) => file.set(B, Buffer.from('BYTARAV2')),
    expect: [error('PAGE_MAGIC', 1, 0)],
  },
  'page-magic-of-v1': {
    base: 'v2.part',
    description: 'A V2 page has the magic of V1: a reader misreads all of it.',
    change: (file) => file.set(B, Buffer.from('BYTARANA')),
    expect: [error('PAGE_MAGIC', 1, 0)],
  },
  'page-magic-of-v2-without-checksum': {
    base: 'golden/v1',
    description: 'A page of libdictenstein, which has no checksum, has the magic of V2.',
    change: (file) => file.set(B, Buffer.from('BYTARAV2')),
    expect: [error('PAGE_MAGIC', 1, 0)],
  },
  'page-magic-without-checksum': {
    base: 'golden/v1',
    description: 'One bit of the magic of a page of libdictenstein, which has no checksum, has flipped.',
    change: (file) => file.flip(B + 6, 0),
    expect: [error('PAGE_MAGIC', 1, 0), COUNT],
  },
  'page-version-bit': {
    base: 'v1.part',
    description: 'One bit of the version of a V1 page has flipped: 1 became 3.',
    change: (file) => file.flip(B + 8, 1),
    expect: [error('PAGE_VERSION', 1, 8), SUM],
  },
  'page-version-without-checksum': {
    base: 'golden/v2',
    description: 'A V2 page of libdictenstein has version 1.',
    change: (file) => file.u16(B + 8, 1),
    expect: [error('PAGE_VERSION', 1, 8), ...NO_SUM],
  },
  'page-flags-unknown': {
    base: 'v2.part',
    description: 'A page has an unknown flag.',
    change: (file) => file.flip(B + 10, 5),
    expect: [error('PAGE_FLAGS', 1, 10), SUM],
  },
  'page-flags-of-v2': {
    base: 'golden/v1',
    description: 'A V1 page without a checksum has the flag of a varint directory.',
    change: (file) => file.flip(B + 10, 0),
    expect: [error('PAGE_FLAGS', 1, 10), ...NO_SUM],
  },
  'page-flags-no-directory': {
    base: 'v2.part',
    description: 'The flag of the varint directory has flipped in a V2 page.',
    change: (file) => file.flip(B + 10, 0),
    expect: [error('PAGE_FLAGS', 1, 10), SUM],
  },
  'page-flags-checksum-v1': {
    base: 'v1.part',
    description: 'HAS_CHECKSUM has flipped in a V1 page; the checksum fields are still set.',
    change: (file) => file.flip(B + 10, 1),
    expect: [
      error('PAGE_CHECKSUM_FIELDS', 1, 24),
      error('PAGE_CHECKSUM_FIELDS', 1, 32),
      info('PAGE_CHECKSUM_ABSENT', 1, 10),
    ],
  },
  'page-flags-checksum-v2': {
    base: 'v2.part',
    description: 'HAS_CHECKSUM has flipped in a V2 page; the checksum fields are still set.',
    change: (file) => file.flip(B + 10, 1),
    expect: [
      error('PAGE_CHECKSUM_FIELDS', 1, 24),
      error('PAGE_CHECKSUM_FIELDS', 1, 28),
      error('PAGE_CHECKSUM_FIELDS', 1, 32),
      info('PAGE_CHECKSUM_ABSENT', 1, 10),
    ],
  },
  'page-flags-finalized': {
    base: 'v1.part',
    description: 'FINALIZED has flipped: the page looks open.',
    change: (file) => file.flip(B + 10, 2),
    expect: [SUM],
  },
  'page-node-count-max': {
    base: 'v1.part',
    description: 'nodeCount of a V1 page is 2^32 - 1.',
    change: (file) => file.u32(B + 12, 0xffff_ffff),
    // The slots that fit, 32,760, are counted as nodes.
    expect: [error('PAGE_BOUNDS', 1, 12), SUM, COUNT],
  },
  'page-node-count-less': {
    base: 'v1.part',
    description: 'nodeCount of a V1 page is one too low.',
    change: (file) => file.u32(B + 12, 19),
    expect: [error('PAGE_BOUNDS', 1, 20), SUM, COUNT],
  },
  'page-node-count-less-v2': {
    base: 'v2.part',
    description: 'nodeCount of a V2 page is one too low: its directory has a pair too many.',
    change: (file) => file.u32(B + 12, 19),
    expect: [error('DIRECTORY_LENGTH', 1, 28), SUM, COUNT],
  },
  'page-node-count-more-v2': {
    base: 'v2.part',
    description: 'nodeCount of an open V2 page is one too high: its directory is followed by zeros.',
    change: (file) => file.u32(2 * B + 12, 9),
    expect: [
      error('DIRECTORY_LENGTH', 2, 28),
      // The pair 0, 0 has offset 0, which is in the page header.
      error('SLOT_BOUNDS', 2, 231_287, 8),
      error('PAGE_CHECKSUM', 2, 24),
      COUNT,
    ],
  },
  'page-node-count-zero': {
    base: 'v1.part',
    description: 'nodeCount of a V1 page is 0; the rest of its header is intact.',
    change: (file) => file.u32(B + 12, 0),
    expect: [error('PAGE_BOUNDS', 1, 20), SUM, COUNT],
  },
  'page-free-offset-beyond': {
    base: 'v1.part',
    description: 'freeOffset of a page is past its block.',
    change: (file) => file.u32(B + 16, 300_000),
    expect: [error('PAGE_BOUNDS', 1, 16), SUM],
  },
  'page-free-offset-in-header': {
    base: 'v2.part',
    description: 'freeOffset of a page is in its header.',
    change: (file) => file.u32(B + 16, 63),
    expect: [error('PAGE_BOUNDS', 1, 16), SUM],
  },
  'page-free-offset-less': {
    base: 'v1.part',
    description: 'freeOffset of a page is one too low: its last two nodes end after it.',
    change: (file) => file.u32(B + 16, 430),
    expect: [error('SLOT_BOUNDS', 1, 261_992, 18), error('SLOT_BOUNDS', 1, 261_984, 19), SUM],
  },
  'page-directory-start-v1': {
    base: 'v1.part',
    description: 'directoryStart of a V1 page is not the offset of its slots.',
    change: (file) => file.u32(B + 20, 4096),
    expect: [error('PAGE_BOUNDS', 1, 20), SUM],
  },
  'page-directory-start-outside': {
    base: 'v2.part',
    description: 'directoryStart of a V2 page is 2^32 - 1.',
    change: (file) => file.u32(B + 20, 0xffff_ffff),
    expect: [error('PAGE_BOUNDS', 1, 20), SUM, COUNT],
  },
  'page-checksum-fields-planted': {
    base: 'golden/v1',
    description:
      'A page of libdictenstein has values in the three checksum fields, but the flag for a checksum is not set.',
    change: (file) => {
      for (const at of [24, 28, 32]) file.u32(B + at, 1);
    },
    expect: [
      error('PAGE_CHECKSUM_FIELDS', 1, 24),
      error('PAGE_CHECKSUM_FIELDS', 1, 28),
      error('PAGE_CHECKSUM_FIELDS', 1, 32),
      ...NO_SUM,
    ],
  },
  'page-checksum-absent': {
    base: 'golden/v1',
    description: 'Pages of libdictenstein, which have no checksum, where checksums are required.',
    options: ['--require-checksums'],
    expect: [error('PAGE_CHECKSUM_ABSENT', 1, 10), error('PAGE_CHECKSUM_ABSENT', 2, 10)],
  },
  'page-not-finalized': {
    base: 'v1.part',
    description: 'A page that is not finalized, where finalized pages are required.',
    options: ['--require-finalized'],
    expect: [error('PAGE_NOT_FINALIZED', 2, 10)],
  },
};
