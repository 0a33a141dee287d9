import { B, type Damage, error, info, warning } from './draft.ts';

const link = (block: number): bigint => BigInt(block) << 40n;

// The free list of the base free.part is 2, 4, 3. A block that is no longer on it is neither a page nor free if its link is
// not zero, as in 2 and 4; block 3, the end of the list, looks like a page that lost its header.
const LOST_2 = error('BLOCK_UNKNOWN', 2, 0);
const LOST_3 = warning('BLOCK_UNWRITTEN', 3, 0);
const LOST_4 = error('BLOCK_UNKNOWN', 4, 0);

/** Damage to the free list, and many kinds at once. */
export const BLOCK_DAMAGE: Readonly<Record<string, Damage>> = {
  'free-head-outside': {
    base: 'free.part',
    description: 'The free list begins at block 99 of a file of 6; the checksum is valid.',
    change: (file) => {
      file.u64(32, link(99));
      file.sealHeader();
    },
    expect: [error('FREE_LIST_LINK', 0, 32), LOST_2, LOST_3, LOST_4],
  },
  'free-head-no-link': {
    base: 'free.part',
    description: 'The head of the free list is a block id that was not shifted.',
    change: (file) => {
      file.u64(32, 2n);
      file.sealHeader();
    },
    expect: [error('FREE_LIST_LINK', 0, 32), LOST_2, LOST_3, LOST_4],
  },
  'free-head-to-page': {
    base: 'free.part',
    description: 'The free list begins at a page.',
    change: (file) => {
      file.u64(32, link(1));
      file.sealHeader();
    },
    expect: [error('FREE_LIST_LINK', 0, 32), LOST_2, LOST_3, LOST_4],
  },
  'free-head-lost': {
    base: 'free.part',
    description: 'The head of the free list is 0: the blocks on it are lost.',
    change: (file) => {
      file.u64(32, 0n);
      file.sealHeader();
    },
    expect: [LOST_2, LOST_3, LOST_4],
  },
  'free-link-to-page': {
    base: 'free.part',
    description: 'The link in free block 4 leads to page 1.',
    change: (file) => file.u64(4 * B, link(1)),
    expect: [error('FREE_LIST_LINK', 4, 0), LOST_3],
  },
  'free-link-outside': {
    base: 'free.part',
    description: 'The link in free block 2 leads out of the file.',
    change: (file) => file.u64(2 * B, link(50)),
    expect: [error('FREE_LIST_LINK', 2, 0), LOST_3, LOST_4],
  },
  'free-link-garbage': {
    base: 'free.part',
    description: 'The first 8 bytes of free block 4 are not a link.',
    change: (file) => file.set(4 * B, 'deadbeefdeadbeef'),
    expect: [error('FREE_LIST_LINK', 4, 0), LOST_3],
  },
  'free-link-zeroed': {
    base: 'free.part',
    description: 'The link in free block 2 is zero: the list ends too soon.',
    change: (file) => file.zero(2 * B, 8),
    expect: [LOST_3, LOST_4],
  },
  'free-link-skips': {
    base: 'free.part',
    description: 'The link in free block 2 leads to 3: block 4 is no longer on the list.',
    change: (file) => file.u64(2 * B, link(3)),
    expect: [LOST_4],
  },
  'free-list-cycle': {
    base: 'free.part',
    description: 'The last block of the free list leads back to its first.',
    change: (file) => file.u64(3 * B, link(2)),
    expect: [error('FREE_LIST_CYCLE', 3, 0)],
  },
  'free-list-self-cycle': {
    base: 'mixed.part',
    description: 'A free block leads to itself.',
    change: (file) => file.u64(5 * B, link(5)),
    expect: [error('FREE_LIST_CYCLE', 5, 0), warning('BLOCK_UNWRITTEN', 3, 0)],
  },
  'free-block-is-a-page': {
    base: 'free.part',
    description: 'A page was written to a block that is on the free list.',
    change: (file) => file.edit({ op: 'copy', from: B, to: 4 * B, bytes: B }),
    expect: [error('FREE_LIST_LINK', 2, 0), error('PAGE_MISPLACED', 4, 36), LOST_3, warning('ENTRY_COUNT', 0, 40)],
  },
  'free-block-overwritten': {
    base: 'free.part',
    description: 'The old nodes in a free block have changed, which is allowed.',
    change: (file) => file.fill(2 * B + 64, 4000, 'ff'),
    expect: [],
  },
  'blocks-never-written': {
    base: 'golden/v1',
    description:
      'A block that another program has allocated and never written: the header counts it, and every byte is zero.',
    change: (file) => {
      file.edit({ op: 'extend', bytes: B, hex: '00' });
      file.u32(24, 4);
      file.sealHeader();
    },
    expect: [info('BLOCK_UNWRITTEN', 3, 0)],
  },
  'everything-at-once': {
    base: 'mixed.part',
    description:
      'Damage in many places: the header copy, a node, a slot of each kind, the free list, and a cut at the end.',
    change: (file) => {
      file.flip(12_290, 4);
      file.flip(B + 64, 0);
      // The length in the last of six pairs, which begin at 205, and in the last of eight slots.
      file.set(2 * B + 216, '7f');
      file.u32(4 * B + 262_080 + 4, 200_000);
      file.u64(5 * B, link(77));
      file.edit({ op: 'truncate', bytes: 6 * B + 12_345 });
    },
    expect: [
      error('FILE_SIZE', 6, 0),
      error('BLOCK_COUNT_BEYOND_FILE', 0, 24),
      error('FILE_HEADER_COPY', 0, 12_288),
      error('PAGE_CHECKSUM', 1, 24),
      error('SLOT_BOUNDS', 2, 215, 5),
      error('PAGE_CHECKSUM', 2, 24),
      error('SLOT_BOUNDS', 4, 262_080, 7),
      error('PAGE_CHECKSUM', 4, 24),
      error('FREE_LIST_LINK', 5, 0),
      LOST_3,
      warning('ENTRY_COUNT', 0, 40),
    ],
  },
};
