import { B, type Damage, error, info, warning } from './draft.ts';

/** Page 1 of the bases has 20 nodes, page 2 has 8: entryCount is 28. */
const COUNT = warning('ENTRY_COUNT', 0, 40);
const SUM = error('PAGE_CHECKSUM', 1, 24);
const NO_SUM = [info('PAGE_CHECKSUM_ABSENT', 1, 10), info('PAGE_CHECKSUM_ABSENT', 2, 10)];
const slots = (count: number): number[] => Array.from({ length: count }, (_, slot) => slot);

/** Damage to directories and slots. */
export const DIRECTORY_DAMAGE: Readonly<Record<string, Damage>> = {
  'nodes-without-directory': {
    base: 'golden/v2-unfinalized',
    description:
      'V2 pages that libdictenstein never finalized, or could not finalize: they have nodes, but no directory.',
    expect: [warning('NODES_WITHOUT_DIRECTORY', 1, 12), warning('NODES_WITHOUT_DIRECTORY', 2, 12), ...NO_SUM],
  },
  'directory-truncated': {
    base: 'golden/v2',
    description:
      'The directory of a V2 page begins five bytes before the end of the block: two of five pairs fit, and half of one.',
    change: (file) => {
      file.set(2 * B - 5, '400b4b0d58');
      file.u32(B + 20, B - 5);
    },
    expect: [error('DIRECTORY_TRUNCATED', 1, B - 1, 2), COUNT, ...NO_SUM],
  },
  'directory-truncated-at-the-end': {
    base: 'v2.part',
    description: 'directoryStart of a V2 page is the end of the block: the page has no directory.',
    change: (file) => file.u32(B + 20, B),
    expect: [error('DIRECTORY_TRUNCATED', 1, B, 0), SUM, COUNT],
  },
  'directory-length-bit': {
    base: 'v2.part',
    description: 'One bit of directoryLength has flipped in a V2 page: 58 became 59.',
    change: (file) => file.flip(B + 28, 0),
    expect: [error('DIRECTORY_LENGTH', 1, 28), SUM],
  },
  'directory-length-sealed': {
    base: 'v2.part',
    description: 'directoryLength of a V2 page is two too high, and the checksum covers those two bytes.',
    change: (file) => {
      file.u32(B + 28, 60);
      file.sealPage(1);
    },
    expect: [error('DIRECTORY_LENGTH', 1, 28)],
  },
  'directory-length-in-v1': {
    base: 'v1.part',
    description: 'A V1 page has a directoryLength, which only V2 pages have.',
    change: (file) => file.u32(B + 28, 160),
    expect: [error('DIRECTORY_LENGTH', 1, 28), SUM],
  },
  'slot-lost': {
    base: 'v1.part',
    description: 'The file was recovered without the node of slot 5.',
    change: (file) => {
      file.zero(B + 262_144 - 8 * 6, 8);
      file.sealPage(1);
      file.sealDigest();
    },
    expect: [info('SLOT_LOST', 1, 262_144 - 8 * 6, 5)],
  },
  'slot-zeroed': {
    base: 'v1.part',
    description: 'A slot of a V1 page has been overwritten with zeros: the checksum does not cover them.',
    change: (file) => file.zero(B + 262_144 - 8 * 6, 8),
    expect: [error('SLOT_BOUNDS', 1, 262_144 - 8 * 6, 5), SUM],
  },
  'slot-zeroed-without-checksum': {
    base: 'golden/v1',
    description: 'A slot of a V1 page without a checksum has been overwritten with zeros.',
    change: (file) => file.zero(B + 262_128, 8),
    expect: [error('SLOT_BOUNDS', 1, 262_128, 1), ...NO_SUM],
  },
  'slot-offset-outside': {
    base: 'golden/v1',
    description: 'A slot of a V1 page without a checksum points past the block.',
    change: (file) => file.u32(B + 262_128, 0xffff_fff0),
    expect: [error('SLOT_BOUNDS', 1, 262_128, 1), ...NO_SUM],
  },
  'slot-length-max': {
    base: 'golden/v1',
    description: 'The length in a slot of a V1 page is 2^32 - 1.',
    change: (file) => file.u32(B + 262_104 + 4, 0xffff_ffff),
    expect: [error('SLOT_BOUNDS', 1, 262_104, 4), ...NO_SUM],
  },
  'slot-in-header': {
    base: 'golden/v2',
    description: 'The first slot of a V2 page begins in the page header.',
    change: (file) => file.set(B + 103, '0a'),
    expect: [error('SLOT_BOUNDS', 1, 103, 0), ...NO_SUM],
  },
  'slot-varint-too-long': {
    base: 'golden/v2',
    description:
      'A slot of a V2 page has an offset of eight bytes, far past the block; the pairs after it are read from wrong offsets.',
    // Read on from byte 112: length 0x58, then the pairs 05 5d and 0a 00.
    change: (file) => file.set(B + 103, 'ffffffffffffffffff58055d0a'),
    expect: [
      error('SLOT_BOUNDS', 1, 103, 0),
      error('SLOT_BOUNDS', 1, 113, 1),
      error('SLOT_BOUNDS', 1, 115, 2),
      error('SLOT_BOUNDS', 1, 117, 3),
      error('SLOT_BOUNDS', 1, 119, 4),
      ...NO_SUM,
    ],
  },
  'slot-overlap-same': {
    base: 'golden/v1',
    description: 'Two slots of a V1 page without a checksum point to the same bytes.',
    change: (file) => file.edit({ op: 'copy', from: B + 262_136, to: B + 262_128, bytes: 8 }),
    expect: [error('SLOT_OVERLAP', 1, 262_128, 1), ...NO_SUM],
  },
  'slot-overlap-in-part': {
    base: 'golden/v2',
    description: 'A slot of a V2 page is three bytes too long: it ends in the next node that is not empty.',
    change: (file) => file.set(B + 106, '10'),
    expect: [error('SLOT_OVERLAP', 1, 109, 3), ...NO_SUM],
  },
  'slot-damaged-with-checksum': {
    base: 'v1.part',
    description: 'The length in a slot of a page with a checksum is 64 bytes too high.',
    change: (file) => file.flip(B + 262_136 + 4, 6),
    // The node in slot 0 becomes 71 bytes long and ends at 135, in slot 4's: those of 1 to 4 begin before that.
    expect: [...[1, 2, 3, 4].map((slot) => error('SLOT_OVERLAP', 1, 262_136 - 8 * slot, slot)), SUM],
  },
  'page-second-half-lost': {
    base: 'v1.part',
    description: 'The second half of a V1 page is zero, including its directory.',
    change: (file) => file.zero(B + 131_072, 131_072),
    // Every slot has offset 0, which is in the page header.
    expect: [...slots(20).map((slot) => error('SLOT_BOUNDS', 1, 262_136 - 8 * slot, slot)), SUM],
  },
};
