import { B, type Damage, error, info, warning } from './draft.ts';

const COUNT = warning('ENTRY_COUNT', 0, 40);
const SUM = error('PAGE_CHECKSUM', 1, 24);
/** The sum in the digest of the page headers. */
const DIGEST = error('PAGES_DIGEST', 0, 96);

/** Damage that a page checksum detects, and damage that it cannot detect. */
export const CHECKSUM_DAMAGE: Readonly<Record<string, Damage>> = {
  'node-bit-v1': {
    base: 'v1.part',
    description: 'One bit of a node in a V1 page has flipped.',
    change: (file) => file.flip(B + 110, 2),
    expect: [SUM],
  },
  'node-bit-v2': {
    base: 'v2.part',
    description: 'One bit of a node in a V2 page has flipped.',
    change: (file) => file.flip(B + 300, 7),
    expect: [SUM],
  },
  'node-bytes': {
    base: 'v1.part',
    description: 'Four bytes of a node have changed: no single bit explains it.',
    change: (file) => file.set(B + 190, Buffer.from('LOST')),
    expect: [SUM],
  },
  'nodes-swapped': {
    base: 'v2.part',
    description: 'Two nodes of a page have changed places, 14 bytes each.',
    change: (file) => file.edit({ op: 'swap', at: B + 85, with: B + 106, bytes: 14 }),
    expect: [SUM],
  },
  'sector-of-nodes-lost': {
    base: 'v2.part',
    description: 'The first sector of a page is zero after its header.',
    change: (file) => file.zero(B + 64, 448),
    // The directory, from 431 on, begins in that sector: its first 40 pairs of zeros have offset 0, in the page header.
    expect: [
      ...Array.from({ length: 20 }, (_, slot) => error('SLOT_BOUNDS', 1, 431 + 2 * slot, slot)),
      error('DIRECTORY_LENGTH', 1, 28),
      SUM,
    ],
  },
  'page-checksum-bit': {
    base: 'v1.part',
    description: 'One bit of the checksum of a page has flipped.',
    change: (file) => file.flip(B + 27, 7),
    expect: [SUM],
  },
  'page-checksum-node-count-bit': {
    base: 'v2.part',
    description: 'One bit of checksumNodeCount has flipped.',
    change: (file) => file.flip(B + 32, 1),
    expect: [SUM],
  },
  'page-reserved-bit': {
    base: 'v1.part',
    description: 'One bit of the reserved bytes of a page header has flipped.',
    change: (file) => file.flip(B + 50, 0),
    expect: [SUM],
  },
  'every-page-damaged': {
    base: 'mixed.part',
    description: 'Each of the four pages has a flipped bit in its first node.',
    change: (file) => {
      for (const block of [1, 2, 4, 6]) file.flip(block * B + 65, 0);
    },
    expect: [1, 2, 4, 6].map((block) => error('PAGE_CHECKSUM', block, 24)),
  },
  'appended-by-another-program': {
    base: 'v1.part',
    description: 'A program without support for checksums has appended a node to a V1 page.',
    change: (file) => file.appendForeign(2, 'a node of another program'),
    expect: [warning('PAGE_CHECKSUM_STALE', 2, 32), COUNT],
  },
  'appended-and-damaged': {
    base: 'v1.part',
    description:
      'A program without support for checksums has appended a node to a V1 page, and a bit of an earlier node has flipped.',
    change: (file) => {
      file.appendForeign(2, 'a node of another program');
      file.flip(2 * B + 70, 3);
    },
    expect: [error('PAGE_CHECKSUM', 2, 24), COUNT],
  },
  'appended-in-v2': {
    base: 'v2.part',
    description: 'A node was appended to a V2 page without updating its checksum, which V2 does not allow.',
    change: (file) => {
      file.set(2 * B + 229, Buffer.from('node'));
      file.set(2 * B + 231_287, 'e504');
      file.u32(2 * B + 12, 9);
      file.u32(2 * B + 16, 233);
    },
    expect: [error('DIRECTORY_LENGTH', 2, 28), error('PAGE_CHECKSUM', 2, 24), COUNT],
  },
  'pages-swapped': {
    base: 'v1.part',
    description: 'Two pages have changed places; both are valid.',
    change: (file) => file.edit({ op: 'swap', at: B, with: 2 * B, bytes: B }),
    expect: [error('PAGE_MISPLACED', 1, 36), error('PAGE_MISPLACED', 2, 36), DIGEST],
  },
  'pages-swapped-without-digest': {
    base: 'golden/v1',
    description:
      'Two pages of libdictenstein have changed places. This cannot be detected: they do not contain their block ids, and the file has no digest of the page headers.',
    change: (file) => file.edit({ op: 'swap', at: B, with: 2 * B, bytes: B }),
    expect: [],
  },
  'page-older': {
    base: 'v1.part',
    description: 'A page is that of an earlier commit again, before it was finalized; it is valid.',
    change: (file) => {
      file.u16(B + 10, 2);
      file.u64(B + 40, 2n);
      file.sealPage(1);
    },
    expect: [DIGEST],
  },
  'page-over-page': {
    base: 'v2.part',
    description: 'Page 1 was written over page 2: both are valid.',
    change: (file) => file.edit({ op: 'copy', from: B, to: 2 * B, bytes: B }),
    expect: [error('PAGE_MISPLACED', 2, 36), DIGEST, COUNT],
  },
  'free-space-changed': {
    base: 'v1.part',
    description: 'Bytes in the free space of a page have changed, which no checksum covers.',
    change: (file) => file.fill(B + 5000, 3000, 'c0ffee'),
    expect: [],
  },
  'page-zeroed': {
    base: 'v1.part',
    description: 'A whole page is zero.',
    change: (file) => file.zero(2 * B, B),
    expect: [info('BLOCK_UNWRITTEN', 2, 0), DIGEST, COUNT],
  },
  'page-zeroed-without-digest': {
    base: 'golden/arenas',
    description: 'A whole page of libdictenstein is zero: only the count of nodes shows it.',
    change: (file) => file.zero(4 * B, B),
    expect: [info('BLOCK_UNWRITTEN', 4, 0), error('ENTRY_COUNT', 0, 40)],
  },
  'page-head-lost': {
    base: 'v1.part',
    description: 'The header of a page is zero; its nodes and its directory are intact.',
    change: (file) => file.zero(B, 64),
    expect: [error('BLOCK_UNKNOWN', 1, 0), COUNT],
  },
  'page-overwritten': {
    base: 'v1.part',
    description: 'A page was overwritten with other data.',
    change: (file) => file.fill(B, B, 'deadbeef'),
    expect: [error('BLOCK_UNKNOWN', 1, 0), COUNT],
  },
  'newlines-translated': {
    base: 'v1.part',
    description: 'A transfer in text mode has inserted a byte in page 1: everything after it is one byte too far.',
    change: (file) => file.edit({ op: 'insert', at: B + 200, hex: '0d' }),
    // Each slot is read from the byte before it; page 2 begins with the last byte of page 1, and no magic; the file is
    // a byte too long.
    expect: [
      ...Array.from({ length: 20 }, (_, slot) => error('SLOT_BOUNDS', 1, 262_136 - 8 * slot, slot)),
      SUM,
      error('BLOCK_UNKNOWN', 2, 0),
      info('FILE_SIZE', 3, 0),
      COUNT,
    ],
  },
};
