import { crc32 } from 'node:zlib';
import { B, type Damage, error, info } from './draft.ts';

/** The journal of a repair, by docs/format.md. @param before - the bytes at each place before the repair, in hex */
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
    description: 'The second half of a commit record is zero, as after a power failure while it was written.',
    change: (file) => file.zero(4096 + 86, 86),
    expect: [info('COMMIT_RECORD', 0, 4096)],
  },
  'commit-record-bit': {
    base: 'v2.part',
    description: 'One bit of a commit record has flipped.',
    change: (file) => file.flip(8192 + 100, 5),
    expect: [error('COMMIT_RECORD', 0, 8192)],
  },
  'commit-record-impossible': {
    base: 'v1.part',
    description: 'A commit record of a block that no file can have, with a right checksum.',
    change: (file) => {
      file.u32(4096 + 16, 0x8000_0000);
      file.u32(4096 + 168, crc32(file.buffer.subarray(4096, 4096 + 168)));
    },
    expect: [error('COMMIT_RECORD', 0, 4096 + 16)],
  },
  'commit-pending': {
    base: 'pending.part',
    description:
      'A writer was killed right after the sync of a commit: the commit record contains its headers, and the file is valid.',
    expect: [],
  },
  'commit-pending-record-bit': {
    base: 'pending.part',
    description: 'As commit-pending, and one bit of that record has flipped: readers and writers ignore its batch.',
    change: (file) => file.flip(4096 + 12, 0),
    expect: [error('COMMIT_RECORD', 0, 4096)],
  },
  'commit-pending-node-bit': {
    base: 'pending.part',
    description:
      'As commit-pending, and one bit has flipped in a node of an earlier commit: record and page are invalid.',
    change: (file) => file.flip(B + 70, 0),
    expect: [SUM],
  },
  'update-cut-off': {
    base: 'updating.part',
    description: 'A writer was killed during an update: the journal contains the page before it.',
    journal: { base: 'updating.journal' },
    expect: [info('JOURNAL_PENDING', 1, 0)],
  },
  'update-cut-off-journal-lost': {
    base: 'updating.part',
    description: 'A writer was killed during an update, and the journal was deleted.',
    expect: [SUM],
  },
  'repair-cut-off': {
    base: 'v1.part',
    description:
      'A repair was killed after the first of two changes: the journal contains both, and readers see the file as repaired.',
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
      'A writer was killed during an update, and another node of the page has changed since: the journal does not match the page.',
    change: (file) => file.flip(B + 135, 1),
    journal: { base: 'updating.journal' },
    expect: [error('JOURNAL_MISMATCH', 1, 0), SUM],
  },
  'journal-is-none': {
    base: 'v1.part',
    description: 'The .journal file beside the page file is a text file.',
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
      'A writer was killed while it wrote the journal: half of it is missing, and nothing was overwritten yet.',
    journal: { base: 'updating.journal', change: (journal) => journal.edit({ op: 'truncate', bytes: 131_072 }) },
    expect: [info('JOURNAL_PENDING', 0, 0)],
  },
};
