import { B, type Damage, error, info, warning } from './draft.ts';

/** Fields of the file header, as docs/format.md describes them; 64 bytes, without a valid checksum. */
const MAGIC = error('FILE_HEADER_MAGIC', 0, 0);
const VERSION = error('FILE_HEADER_VERSION', 0, 8);
const CHECKSUM = error('FILE_HEADER_CHECKSUM', 0, 48);
const BEYOND = error('BLOCK_COUNT_BEYOND_FILE', 0, 24);
const COUNT = warning('ENTRY_COUNT', 0, 40);
const LOST = [MAGIC, VERSION, CHECKSUM, BEYOND];

/** Damage to the file header and its copy. */
export const HEADER_DAMAGE: Readonly<Record<string, Damage>> = {
  'header-magic-bit': {
    base: 'v1.part',
    description: 'One bit of the magic in the file header has flipped.',
    change: (file) => file.flip(4, 3),
    expect: [MAGIC, CHECKSUM],
  },
  'header-zeroed': {
    base: 'v1.part',
    description: 'The 64 bytes of the file header are zero; its copy is valid.',
    change: (file) => file.zero(0, 64),
    expect: LOST,
  },
  'header-sector-lost': {
    base: 'v2.part',
    description: 'The first sector of the file reads as 0xff; the header copy is valid.',
    change: (file) => file.fill(0, 512, 'ff'),
    // Bit 63 of the root pointer is set, and the free-list head is not a link.
    expect: [
      ...LOST,
      error('ROOT_POINTER', 0, 16),
      error('FREE_LIST_LINK', 0, 32),
      error('FILE_HEADER_RESERVED', 0, 28),
    ],
  },
  'header-and-copy-lost': {
    base: 'v1.part',
    description:
      'The first 16 KiB of the file are zero except the magic: header, commit records and header copy are lost.',
    change: (file) => file.zero(8, 16_376),
    expect: [VERSION, CHECKSUM, BEYOND],
  },
  'block-0-lost': {
    base: 'v1.part',
    description: 'All of block 0 is zero; the pages are valid.',
    change: (file) => file.zero(0, B),
    expect: LOST,
  },
  'header-version-to-come': {
    base: 'v1.part',
    description: 'A file of version 3 with a valid checksum.',
    change: (file) => {
      file.u32(8, 3);
      file.sealHeader();
    },
    expect: [VERSION],
  },
  'header-version-bit': {
    base: 'v1.part',
    description: 'One bit of the file version has flipped: 2 became 0.',
    change: (file) => file.flip(8, 1),
    // In version 0 the checksum does not cover the last field, and the bytes that it covers have changed.
    expect: [VERSION, CHECKSUM],
  },
  'header-flags-bit': {
    base: 'v1.part',
    description: 'One bit of the flags in the file header has flipped.',
    change: (file) => file.flip(12, 0),
    expect: [CHECKSUM],
  },
  'header-flags-set': {
    base: 'v1.part',
    description: 'An unknown flag in the file header, with a valid checksum.',
    change: (file) => {
      file.u32(12, 1);
      file.sealHeader();
    },
    expect: [warning('FILE_HEADER_RESERVED', 0, 12)],
  },
  'header-block-count-bit': {
    base: 'v1.part',
    description: 'One bit of blockCount has flipped: 3 became 67.',
    change: (file) => file.flip(24, 6),
    expect: [CHECKSUM, BEYOND],
  },
  'header-stale-block-count': {
    base: 'golden/stale-header',
    description: 'libdictenstein was killed before its first sync: blockCount is written, the checksum is not.',
    expect: [CHECKSUM],
  },
  'header-entry-count-bit': {
    base: 'v1.part',
    description: 'One bit of entryCount has flipped: 28 became 60.',
    change: (file) => file.flip(40, 5),
    expect: [CHECKSUM, COUNT],
  },
  'header-checksum-bit': {
    base: 'v2.part',
    description: 'One bit of the checksum in the file header has flipped; the other fields are intact.',
    change: (file) => file.flip(50, 1),
    expect: [CHECKSUM],
  },
  'header-free-list-bit': {
    base: 'v1.part',
    description: 'One bit of the free-list head has flipped: the list leads to page 1.',
    change: (file) => file.flip(37, 0),
    expect: [CHECKSUM, error('FREE_LIST_LINK', 0, 32)],
  },
  'header-root-pointer-bit': {
    base: 'v1.part',
    description: 'Bit 63 of the root pointer has flipped, which is valid only in memory.',
    change: (file) => file.flip(23, 7),
    expect: [CHECKSUM, error('ROOT_POINTER', 0, 16)],
  },
  'header-padding': {
    base: 'v1.part',
    description: 'A bit has flipped in the padding of the file header, which the checksum does not cover.',
    change: (file) => file.flip(29, 6),
    expect: [error('FILE_HEADER_RESERVED', 0, 28)],
  },
  'header-lsn-in-version-1': {
    base: 'v1.part',
    description: 'A file of version 1 with a value in a field that only version 2 has.',
    change: (file) => {
      file.u32(8, 1);
      file.u64(56, 7n);
      file.sealHeader();
    },
    expect: [error('FILE_HEADER_RESERVED', 0, 56)],
  },
  'header-older': {
    base: 'v1.part',
    description:
      'The first sector of the file is that of its first commit again, before nodes were appended: with valid checksums.',
    change: (file) => {
      file.u32(24, 2);
      file.u64(40, 0n);
      file.sealHeader();
      file.sealDigest({ sum: 0n, commit: 1n });
    },
    expect: [error('FILE_HEADER_OLD', 0, 0), info('BLOCKS_UNCOUNTED', 0, 24)],
  },
  'digest-bit': {
    base: 'v1.part',
    description: 'One bit of the sum in the digest of the page headers has flipped.',
    change: (file) => file.flip(100, 3),
    expect: [error('PAGES_DIGEST', 0, 88)],
  },
  'digest-bytes': {
    base: 'v2.part',
    description: 'Four bytes of the sum in the digest of the page headers have changed.',
    change: (file) => file.set(96, 'deadbeef'),
    expect: [error('PAGES_DIGEST', 0, 88)],
  },
  'digest-zeroed': {
    base: 'v2.part',
    description:
      'The digest of the page headers and the commit records are zero, as in files of other programs; the header copy still has a digest.',
    change: (file) => {
      file.zero(88, 40);
      file.zero(4096, 192);
      file.zero(8192, 192);
    },
    expect: [error('FILE_HEADER_OLD', 0, 0)],
  },
  'digest-foreign': {
    base: 'v1.part',
    description: 'Another program, which does not know the digest of the page headers, has changed the file header.',
    change: (file) => {
      file.u64(56, 7n);
      file.sealForeignHeader();
    },
    expect: [warning('DIGEST_FOREIGN', 0, 88)],
  },
  'header-copy-bit': {
    base: 'v2.part',
    description: 'One bit of the header copy has flipped; the header itself is valid.',
    change: (file) => file.flip(12_300, 0),
    expect: [error('FILE_HEADER_COPY', 0, 12_288)],
  },
  'header-copy-checksum': {
    base: 'v1.part',
    description: 'The checksum of the header copy is zero.',
    change: (file) => file.zero(12_370, 4),
    expect: [error('FILE_HEADER_COPY', 0, 12_288)],
  },
  'header-copy-zeroed': {
    base: 'v1.part',
    description: 'Every byte of the header copy is zero, as in files of other programs, which is allowed.',
    change: (file) => file.zero(12_288, 512),
    expect: [],
  },
  'entry-count-off': {
    base: 'v2.part',
    description: 'entryCount is one too high, with a valid checksum.',
    change: (file) => {
      file.u64(40, 29n);
      file.sealHeader();
    },
    expect: [error('ENTRY_COUNT', 0, 40)],
  },
  'entry-count-low': {
    base: 'v1.part',
    description: 'entryCount is one too low, with a valid checksum.',
    change: (file) => {
      file.u64(40, 27n);
      file.sealHeader();
    },
    expect: [COUNT],
  },
  'entry-count-zero': {
    base: 'v1.part',
    description: 'entryCount is 0, as from a program that does not count nodes, which is allowed.',
    change: (file) => {
      file.u64(40, 0n);
      file.sealHeader();
    },
    expect: [],
  },
};
