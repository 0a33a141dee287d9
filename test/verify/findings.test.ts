import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { encodePointer } from '../../src/format/layout.ts';
import { damaged, fileWithFreeList, lengthened, smallFile, withHeader, withPageHeader } from '../support/damage.ts';
import { goldenBytes } from '../support/files.ts';
import { withoutDigest, withOwnDigest } from '../support/spec-digest.ts';
import { brief, verifyAll } from '../support/verify.ts';

const v1 = await smallFile('v1');
const v2 = await smallFile('v2');
const rust = goldenBytes('v1');
// Without a digest, which a changed file header would not fit.
const plain = withoutDigest(v1);

const free = await fileWithFreeList();
const setLink = (bytes: Uint8Array, block: number, link: bigint): Uint8Array =>
  damaged(bytes, (_, view) => view.setBigUint64(fileOffset(block), link, true));
const descriptor = (type: number, final: number, arenas: number, record: bigint): Uint8Array =>
  damaged(withHeader(plain, { rootPointer: encodePointer(0, 64, 0) }), (copy, view) => {
    copy.set([type, final], 64);
    view.setUint32(70, arenas, true);
    view.setBigUint64(74, record, true);
  });

const CASES: [what: string, bytes: Uint8Array, findings: string[]][] = [
  ['a sound V1 file', v1, []],
  ['a sound V2 file', v2, []],
  ['a file with free blocks', free, []],
  [
    'a damaged magic',
    damaged(v1, (copy) => copy.fill(0, 0, 8)),
    ['error FILE_HEADER_MAGIC 0', 'error FILE_HEADER_CHECKSUM 0'],
  ],
  [
    'a file header of zeros',
    damaged(v1, (copy) => copy.fill(0, 0, 64)),
    [
      'error FILE_HEADER_MAGIC 0',
      'error FILE_HEADER_VERSION 0',
      'error FILE_HEADER_CHECKSUM 0',
      'error BLOCK_COUNT_BEYOND_FILE 0',
    ],
  ],
  ['a version to come', withHeader(v1, { version: 3 }), ['error FILE_HEADER_VERSION 0']],
  ['padding', withHeader(v1, { padding: 9 }), ['error FILE_HEADER_RESERVED 0']],
  ['an LSN in version 1', withHeader(v1, { version: 1, imageCheckpointLsn: 1n }), ['error FILE_HEADER_RESERVED 0']],
  [
    'a file that ends inside a block',
    v1.slice(0, 1.5 * BLOCK_BYTES),
    ['error FILE_SIZE 1', 'error BLOCK_COUNT_BEYOND_FILE 0', 'warning ENTRY_COUNT 0'],
  ],
  [
    'a file that ends inside its header block',
    v1.slice(0, 5000),
    ['error FILE_SIZE 0', 'error BLOCK_COUNT_BEYOND_FILE 0', 'warning ENTRY_COUNT 0'],
  ],
  ['a file cut between blocks', v1.slice(0, BLOCK_BYTES), ['error BLOCK_COUNT_BEYOND_FILE 0', 'warning ENTRY_COUNT 0']],
  ['bytes behind the last block', lengthened(v1, 100), ['info FILE_SIZE 2']],
  ['blocks behind the last block', lengthened(v1, 2 * BLOCK_BYTES), ['info BLOCKS_UNCOUNTED 0']],
  ['a header copy that is damaged', damaged(v1, (copy) => (copy[12_300]! ^= 1)), ['error FILE_HEADER_COPY 0']],
  ['an entry count above that of the pages', withHeader(plain, { entryCount: 21n }), ['error ENTRY_COUNT 0']],
  ['an entry count below that of the pages', withHeader(plain, { entryCount: 19n }), ['warning ENTRY_COUNT 0']],
  ['an entry count of 0, which says nothing', withHeader(plain, { entryCount: 0n }), []],
  ['a root pointer in memory', withHeader(plain, { rootPointer: 1n << 63n }), ['error ROOT_POINTER 0']],
  [
    'a root pointer out of the file',
    withHeader(plain, { rootPointer: encodePointer(9, 0, 4) }),
    ['error ROOT_POINTER 0'],
  ],
  [
    'a root pointer to a wrong offset in block 0',
    withHeader(plain, { rootPointer: encodePointer(0, 65, 0) }),
    ['error ROOT_POINTER 0'],
  ],
  ['a sound root descriptor', descriptor(2, 0, 1, encodePointer(1, 19, 4)), []],
  ['an empty trie', descriptor(0, 0, 1, 0n), []],
  ['a root type that is none', descriptor(3, 0, 1, encodePointer(1, 0, 4)), ['error ROOT_DESCRIPTOR 0']],
  ['a final flag that is none', descriptor(2, 2, 1, encodePointer(1, 0, 4)), ['error ROOT_DESCRIPTOR 0']],
  ['more arenas than blocks', descriptor(2, 0, 2, encodePointer(1, 0, 4)), ['error ROOT_DESCRIPTOR 0']],
  ['a root record out of the file', descriptor(2, 0, 1, encodePointer(5, 0, 4)), ['error ROOT_DESCRIPTOR 0']],
  ['a root record of a char trie', descriptor(2, 0, 1, encodePointer(1, 0, 104)), ['error ROOT_DESCRIPTOR 0']],
  [
    'a root record in a slot that does not exist',
    descriptor(2, 0, 1, encodePointer(1, 20, 4)),
    ['error ROOT_DESCRIPTOR 0'],
  ],
  ['an empty trie with a root record', descriptor(0, 0, 1, encodePointer(1, 0, 4)), ['error ROOT_DESCRIPTOR 0']],
  [
    'a free list that starts beyond the end of the file',
    withOwnDigest(withHeader(free, { freeListHead: 99n << 40n })),
    ['error FREE_LIST_LINK 0', 'error BLOCK_UNKNOWN 2', 'error BLOCK_UNKNOWN 4', 'info BLOCK_UNWRITTEN 3'],
  ],
  [
    'a free list head that is not a link',
    withOwnDigest(withHeader(free, { freeListHead: 3n })),
    ['error FREE_LIST_LINK 0', 'error BLOCK_UNKNOWN 2', 'error BLOCK_UNKNOWN 4', 'info BLOCK_UNWRITTEN 3'],
  ],
  [
    'a free list with a link to a page',
    setLink(free, 4, 1n << 40n),
    ['error FREE_LIST_LINK 4', 'info BLOCK_UNWRITTEN 3'],
  ],
  [
    'a free list with a link beyond the end of the file',
    setLink(free, 2, 50n << 40n),
    ['error FREE_LIST_LINK 2', 'error BLOCK_UNKNOWN 4', 'info BLOCK_UNWRITTEN 3'],
  ],
  ['a free list in a circle', setLink(free, 3, 2n << 40n), ['error FREE_LIST_CYCLE 3']],
  ['a free block that is its own successor', setLink(free, 3, 3n << 40n), ['error FREE_LIST_CYCLE 3']],
  ['a free block without a valid link', setLink(free, 4, 77n), ['error FREE_LIST_LINK 4', 'info BLOCK_UNWRITTEN 3']],
  [
    'a page that lost its first bytes',
    damaged(v1, (copy) => copy.fill(0, BLOCK_BYTES, BLOCK_BYTES + 512)),
    ['error BLOCK_UNKNOWN 1', 'warning ENTRY_COUNT 0'],
  ],
  [
    'a block with unknown content',
    damaged(v1, (copy) => copy.fill(7, BLOCK_BYTES, BLOCK_BYTES + 16)),
    ['error BLOCK_UNKNOWN 1', 'warning ENTRY_COUNT 0'],
  ],
  [
    'a block of zeros',
    damaged(v1, (copy) => copy.fill(0, BLOCK_BYTES)),
    ['error BLOCK_UNKNOWN 1', 'warning ENTRY_COUNT 0'],
  ],
  [
    'a wrong page version',
    withPageHeader(rust, 1, { version: 2 }),
    ['error PAGE_VERSION 1', 'info PAGE_CHECKSUM_ABSENT 1', 'info PAGE_CHECKSUM_ABSENT 2'],
  ],
  [
    'an unknown flag',
    withPageHeader(rust, 1, { flags: 8 }),
    ['error PAGE_FLAGS 1', 'info PAGE_CHECKSUM_ABSENT 1', 'info PAGE_CHECKSUM_ABSENT 2'],
  ],
  [
    'the V2 flag in a V1 page',
    withPageHeader(rust, 1, { flags: 1 }),
    ['error PAGE_FLAGS 1', 'info PAGE_CHECKSUM_ABSENT 1', 'info PAGE_CHECKSUM_ABSENT 2'],
  ],
  [
    'a checksum without its flag',
    withPageHeader(rust, 1, { checksum: 1 }),
    ['error PAGE_CHECKSUM_FIELDS 1', 'info PAGE_CHECKSUM_ABSENT 1', 'info PAGE_CHECKSUM_ABSENT 2'],
  ],
  [
    'more slots than a block holds',
    withPageHeader(v1, 1, { nodeCount: 0xffff_ffff }),
    ['error PAGE_BOUNDS 1', 'error PAGE_CHECKSUM 1', 'warning ENTRY_COUNT 0'],
  ],
  [
    'a free offset inside the directory',
    withPageHeader(v1, 1, { freeOffset: 262_100 }),
    ['error PAGE_BOUNDS 1', 'error PAGE_CHECKSUM 1'],
  ],
  [
    'a free offset inside the page header',
    withPageHeader(v1, 1, { freeOffset: 63 }),
    ['error PAGE_BOUNDS 1', 'error PAGE_CHECKSUM 1'],
  ],
  [
    'a V1 directory of the wrong length',
    withPageHeader(v1, 1, { directoryStart: 262_000 }),
    ['error PAGE_BOUNDS 1', 'error PAGE_CHECKSUM 1'],
  ],
  [
    'a directory after the end of the block',
    withPageHeader(v2, 1, { directoryStart: 262_145 }),
    ['error PAGE_BOUNDS 1', 'error PAGE_CHECKSUM 1', 'warning ENTRY_COUNT 0'],
  ],
  [
    'a V2 directory of the wrong length',
    withPageHeader(v2, 1, { directoryLength: 1 }),
    ['error DIRECTORY_LENGTH 1', 'error PAGE_CHECKSUM 1'],
  ],
  [
    'a V2 directory that extends past the block',
    withPageHeader(v2, 1, { directoryStart: 262_139, directoryLength: 5 }),
    [
      'error DIRECTORY_TRUNCATED 1:2',
      'error SLOT_BOUNDS 1:0',
      'error SLOT_BOUNDS 1:1',
      'error PAGE_CHECKSUM 1',
      'warning ENTRY_COUNT 0',
    ],
  ],
  [
    'a slot that points before the nodes',
    damaged(rust, (_, view) => view.setUint32(2 * BLOCK_BYTES - 8, 63, true)),
    ['error SLOT_BOUNDS 1:0', 'info PAGE_CHECKSUM_ABSENT 1', 'info PAGE_CHECKSUM_ABSENT 2'],
  ],
  [
    'a slot that ends after the nodes',
    damaged(rust, (_, view) => view.setUint32(2 * BLOCK_BYTES - 4, 40, true)),
    [
      // The others are where they were.
      'error SLOT_BOUNDS 1:0',
      'info PAGE_CHECKSUM_ABSENT 1',
      'info PAGE_CHECKSUM_ABSENT 2',
    ],
  ],
  [
    'two slots on the same bytes',
    damaged(rust, (_, view) => view.setUint32(2 * BLOCK_BYTES - 16, 70, true)),
    ['error SLOT_OVERLAP 1:1', 'info PAGE_CHECKSUM_ABSENT 1', 'info PAGE_CHECKSUM_ABSENT 2'],
  ],
];

describe('verify finds', () => {
  test.each(CASES)('%s', async (_, bytes, findings) => {
    expect(brief((await verifyAll(bytes)).findings)).toEqual(findings);
  });

  test('the file offset of each problem', async () => {
    const { findings } = await verifyAll(damaged(rust, (_, view) => view.setUint32(2 * BLOCK_BYTES - 8, 63, true)));
    expect(findings[0]).toMatchObject({
      block: 1,
      slot: 0,
      offset: 2 * BLOCK_BYTES - 8,
      found: '63+11',
      file: 'memory',
    });
  });

  test('missing checksums and pages that are not finalized, if these are required', async () => {
    const { summary } = await verifyAll(rust, { requireChecksums: true, requireFinalized: true });
    expect(summary.findings).toEqual({ error: 4, warning: 0, info: 0 });
    expect((await verifyAll(await smallFile('v2', true), { requireFinalized: true })).findings).toEqual([]);
  });
});
