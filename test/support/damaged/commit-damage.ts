import { crc32 } from 'node:zlib';
import { B, type Damage, error, info } from './draft.ts';

/** The journal of a repair of some bytes, by docs/format.md. @param before - what each of them was, in hex */
function repairJournal(places: readonly number[], before: string, after: string): Buffer {
  const patches = places.map((position) => {
    const header = Buffer.alloc(12);
    header.writeBigUInt64LE(BigInt(position));
    header.writeUInt16LE(before.length / 2, 8);
    header.writeUInt16LE(PAGE_BIT, 10);
    return Buffer.concat([header, Buffer.from(before, 'hex'), Buffer.from(after, 'hex')]);
  });
  const header = Buffer.alloc(20);
  header.write('APJP');
  header.writeUInt32LE(1, 4);
  header.writeUInt32LE(patches.length, 8);
  header.writeUInt32LE(crc32(Buffer.concat(patches)), 12);
  header.writeUInt32LE(crc32(header.subarray(0, 16)), 16);
  return Buffer.concat([header, ...patches]);
}

/** The number of `page-bit` in the list of repairs. */
const PAGE_BIT = 8;

const SUM = error('PAGE_CHECKSUM', 1, 24);

/** Damage to commit records and to the journal beside the file. */
export const COMMIT_DAMAGE: Readonly<Record<string, Damage>> = {
  'commit-record-torn': {
    base: 'v1.part',
    description: 'The second half of a commit record is zero, as where the power went while it was written.',
    change: (file) => file.zero(4096 + 86, 86),
    expect: [info('COMMIT_RECORD', 0, 4096)],
  },
  'commit-record-bit': {
    base: 'v2.part',
    description: 'One bit of a commit record has flipped.',
    change: (file) => file.flip(8192 + 100, 5),
    expect: [error('COMMIT_RECORD', 0, 8192)],
  },
  'commit-pending': {
    base: 'pending.part',
    description:
      'A writer was killed right after the sync of a commit: the commit record has its headers, and nothing is wrong.',
    expect: [],
  },
  'commit-pending-record-bit': {
    base: 'pending.part',
    description:
      'As commit-pending, and one bit of that record has flipped: to those who read and write, its batch counts as never written.',
    change: (file) => file.flip(4096 + 12, 0),
    expect: [error('COMMIT_RECORD', 0, 4096)],
  },
  'commit-pending-node-bit': {
    base: 'pending.part',
    description:
      'As commit-pending, and one bit has flipped in a node that was there before: the record is void, and so is the page.',
    change: (file) => file.flip(B + 70, 0),
    expect: [SUM],
  },
  'update-cut-off': {
    base: 'updating.part',
    description: 'A writer was killed in the middle of an update: the journal has the page as it was.',
    journal: { base: 'updating.journal' },
    expect: [info('JOURNAL_PENDING', 1, 0)],
  },
  'update-cut-off-journal-lost': {
    base: 'updating.part',
    description: 'A writer was killed in the middle of an update, and somebody has deleted the journal.',
    expect: [SUM],
  },
  'repair-cut-off': {
    base: 'v1.part',
    description:
      'A repair was killed when it had flipped one bit back of two: the journal has both, and nobody sees the one that is still wrong.',
    change: (file) => file.set(2 * B + 64, '6f'),
    journal: {
      base: 'updating.journal',
      change: (journal) => {
        const bytes = repairJournal([B + 64, 2 * B + 64], '6f', '6e');
        journal.edit({ op: 'truncate', bytes: 0 });
        journal.edit({ op: 'extend', bytes: bytes.length, hex: bytes.toString('hex') });
      },
    },
    expect: [info('JOURNAL_PENDING', 1, 0)],
  },
  'journal-of-an-older-page': {
    base: 'updating.part',
    description:
      'A writer was killed in the middle of an update, and another node of the page has changed since: the journal is not of this page.',
    change: (file) => file.flip(B + 135, 1),
    journal: { base: 'updating.journal' },
    expect: [error('JOURNAL_MISMATCH', 1, 0), SUM],
  },
  'journal-is-none': {
    base: 'v1.part',
    description: 'What has the name of the journal beside the file is a text.',
    journal: {
      base: 'updating.journal',
      change: (journal) => {
        journal.edit({ op: 'truncate', bytes: 0 });
        journal.edit({ op: 'extend', bytes: 2000, hex: Buffer.from('a note of somebody\n').toString('hex') });
      },
    },
    expect: [error('JOURNAL_MISMATCH', 0, 0)],
  },
  'journal-torn': {
    base: 'v2.part',
    description:
      'A writer was killed while it wrote the journal: half of it is there, and no byte of the file was overwritten yet.',
    journal: { base: 'updating.journal', change: (journal) => journal.edit({ op: 'truncate', bytes: 131_072 }) },
    expect: [info('JOURNAL_PENDING', 0, 0)],
  },
};
