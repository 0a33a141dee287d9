import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { COMMIT_RECORD_OFFSETS, BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { decodePage, recomputePageHeader } from '../../src/format/page.ts';
import { encodeJournal } from '../../src/format/journal.ts';
import { encodePointer } from '../../src/format/layout.ts';
import type { ProblemCode } from '../../src/errors.ts';
import type { VerifyOptions } from '../../src/verify/verify.ts';
import { ruleOf, RULES } from '../../src/verify/rules.ts';
import { verify } from '../../src/verify/verify.ts';
import { damaged, fileWithFreeList, lengthened, smallFile, withHeader, withPageHeader } from '../support/damage.ts';
import { goldenBytes } from '../support/files.ts';
import { withDigest, withoutDigest } from '../support/spec-digest.ts';
import { verifyAll } from '../support/verify.ts';

const v1 = await smallFile('v1');
const v2 = await smallFile('v2');
const free = await fileWithFreeList();
const rust = goldenBytes('v1');

interface FileTrigger {
  readonly bytes: Uint8Array;
  readonly journal?: Uint8Array;
  readonly options?: VerifyOptions;
}

type Trigger = Uint8Array | FileTrigger;

const setLink = (block: number, link: bigint): Uint8Array =>
  damaged(free, (_, view) => view.setBigUint64(fileOffset(block), link, true));

const journalOf = (bytes: Uint8Array): Uint8Array =>
  encodeJournal({ block: 1, image: bytes.slice(BLOCK_BYTES), changed: { start: 64, end: 70 }, newPageHeaderCrc: 1 });

/** With a checksum that matches what page 1 has. */
function sealed(bytes: Uint8Array): Uint8Array {
  const page = decodePage(bytes.slice(BLOCK_BYTES, 2 * BLOCK_BYTES));
  if (page === undefined) throw new Error('block 1 is not a page');
  return damaged(bytes, (copy) => copy.set(recomputePageHeader(page), BLOCK_BYTES));
}

/** With a root descriptor whose root record is in block 1. */
const trie = (bytes: Uint8Array, arenas: number): Uint8Array =>
  damaged(withHeader(bytes, { rootPointer: encodePointer(0, 64, 0) }), (copy, view) => {
    copy[64] = 2;
    view.setUint32(70, arenas, true);
    view.setBigUint64(74, encodePointer(1, 0, 4), true);
  });

/** A file for each code. A missing code is a compile error. */
const TRIGGERS: Record<ProblemCode, Trigger> = {
  FILE_HEADER_MAGIC: damaged(v1, (copy) => (copy[7]! ^= 3)),
  FILE_HEADER_VERSION: withHeader(v1, { version: 3 }),
  FILE_HEADER_CHECKSUM: damaged(v1, (copy) => (copy[50]! ^= 3)),
  FILE_HEADER_RESERVED: withHeader(v1, { padding: 7 }),
  FILE_SIZE: v1.slice(0, 1.5 * BLOCK_BYTES),
  BLOCK_COUNT_BEYOND_FILE: withHeader(v1, { blockCount: 7 }),
  BLOCKS_UNCOUNTED: lengthened(v1, BLOCK_BYTES),
  ROOT_POINTER: withHeader(v1, { rootPointer: encodePointer(9, 0, 4) }),
  ROOT_DESCRIPTOR: damaged(withHeader(v1, { rootPointer: encodePointer(0, 64, 0) }), (copy) => (copy[64] = 9)),
  TRIE_ARENA_COUNT: trie(v1, 0),
  TRIE_BLOCK_COUNT: trie(v1, 0),
  TRIE_FREE_BLOCKS: trie(free, 5),
  TRIE_PAGE_FORMAT: trie(v2, 1),
  FILE_HEADER_OLD: damaged(withDigest(v1, { commit: 1n }), (copy) => copy.fill(0, 4096, 8704)),
  FILE_HEADER_COPY: damaged(v1, (copy) => (copy[12_300]! ^= 3)),
  COMMIT_RECORD: damaged(v1, (copy) => (copy[COMMIT_RECORD_OFFSETS[0] + 100]! ^= 3)),
  JOURNAL_MISMATCH: { bytes: v1, journal: new Uint8Array(20).fill(7) },
  JOURNAL_PENDING: { bytes: v1, journal: journalOf(v1) },
  PAGE_MAGIC: damaged(v1, (copy) => copy.fill(9, BLOCK_BYTES, BLOCK_BYTES + 8)),
  PAGE_VERSION: withPageHeader(v1, 1, { version: 9 }),
  PAGE_FLAGS: withPageHeader(v1, 1, { flags: 0x802 }),
  PAGE_BOUNDS: withPageHeader(v1, 1, { freeOffset: 1 }),
  NODES_WITHOUT_DIRECTORY: goldenBytes('v2-unfinalized'),
  DIRECTORY_TRUNCATED: withPageHeader(v2, 1, { directoryStart: 262_139, directoryLength: 5 }),
  DIRECTORY_LENGTH: withPageHeader(v2, 1, { directoryLength: 3 }),
  SLOT_BOUNDS: damaged(v1, (_, view) => view.setUint32(2 * BLOCK_BYTES - 8, 3, true)),
  SLOT_OVERLAP: damaged(rust, (_, view) => view.setUint32(2 * BLOCK_BYTES - 16, 70, true)),
  SLOT_LOST: sealed(damaged(v1, (copy) => copy.fill(0, 2 * BLOCK_BYTES - 16, 2 * BLOCK_BYTES - 8))),
  PAGE_CHECKSUM: damaged(v1, (copy) => copy.fill(1, BLOCK_BYTES + 80, BLOCK_BYTES + 90)),
  PAGE_CHECKSUM_STALE: damaged(v1, (_, view) => {
    // One more empty node, appended like a program that does not know checksums.
    view.setUint32(BLOCK_BYTES + 12, 21, true);
    view.setUint32(BLOCK_BYTES + 20, BLOCK_BYTES - 8 * 21, true);
    view.setUint32(2 * BLOCK_BYTES - 8 * 21, 64, true);
  }),
  PAGE_CHECKSUM_FIELDS: withPageHeader(rust, 1, { checksum: 1 }),
  PAGE_MISPLACED: sealed(withPageHeader(v1, 1, { home: 7 })),
  PAGE_CHECKSUM_ABSENT: rust,
  PAGE_NOT_FINALIZED: { bytes: v1, options: { requireFinalized: true } },
  FREE_LIST_LINK: setLink(4, 1n << 40n),
  FREE_LIST_CYCLE: setLink(3, 2n << 40n),
  BLOCK_UNKNOWN: damaged(v1, (copy) => copy.fill(9, BLOCK_BYTES, BLOCK_BYTES + 30)),
  BLOCK_UNWRITTEN: damaged(v1, (copy) => copy.fill(0, 4096, 12_288).fill(0, BLOCK_BYTES)),
  PAGES_DIGEST: withDigest(v1, { sum: 1n }),
  DIGEST_FOREIGN: withHeader(v1, { entryCount: 20n, flags: 1 }),
  ENTRY_COUNT: withHeader(v1, { entryCount: 99n }),
};

describe('the rules', () => {
  test('are one for each code', () => {
    expect(RULES.map(({ id }) => id).toSorted()).toEqual(Object.keys(TRIGGERS).toSorted());
  });

  test('each have a check', () => {
    expect(RULES.filter(({ head, page, nonPage, whole }) => !(head ?? page ?? nonPage ?? whole))).toEqual([]);
  });

  test.each(Object.keys(TRIGGERS) as ProblemCode[])(
    '%s finds its damage, and its findings have all fields',
    async (code) => {
      const trigger = TRIGGERS[code];
      const whole: FileTrigger = trigger instanceof Uint8Array ? { bytes: trigger } : trigger;
      const { bytes, journal, options = {} } = whole;
      const file = new MemoryBlockFile(bytes, '-a b');
      if (journal) await file.journal.write(journal);
      const { findings } = await verifyAll(file, options);
      const found = findings.filter((finding) => finding.code === code);
      expect(found.length).toBeGreaterThan(0);
      const rank = ['info', 'warning', 'error'];
      for (const finding of found) {
        expect(rank.indexOf(finding.severity)).toBeLessThanOrEqual(rank.indexOf(ruleOf({ code }).severity));
        expect(finding.next).toMatch(
          /^artrie-pages (?:dump|repair --dry-run(?: --[a-z-]+)*|recover|finalize) '\.\/-a b'/,
        );
        expect(finding.found ?? '').not.toBe('');
        expect(finding.expected ?? '').not.toBe('');
        expect(finding.message).not.toContain('undefined');
        expect(finding.offset + (finding.bytes ?? 0)).toBeLessThanOrEqual(bytes.length + BLOCK_BYTES);
        expect(finding.block).toBeTypeOf('number');
        // A finding in the page file, not in the journal, has a length.
        if (journal === undefined) expect(finding.bytes).toBeGreaterThan(0);
      }
    },
  );
});

test('findings are in the order of the rules: for block 0, for each page, and for all blocks together', async () => {
  const bytes = damaged(free, (copy, view) => {
    copy[50]! ^= 3;
    copy[12_300]! ^= 3;
    view.setBigUint64(fileOffset(4), 99n, true);
    for (const block of [1, 5]) view.setUint16(fileOffset(block, 8), 9, true);
  });
  const codes: string[] = [];
  await verify(new MemoryBlockFile(bytes), {
    onFinding: ({ code, block }) => void codes.push(`${code} ${block}`),
  });
  expect(codes).toEqual([
    'FILE_HEADER_CHECKSUM 0',
    'FILE_HEADER_COPY 0',
    'PAGE_VERSION 1',
    'PAGE_CHECKSUM 1',
    'PAGE_VERSION 5',
    'PAGE_CHECKSUM 5',
    'FREE_LIST_LINK 4',
    'BLOCK_UNWRITTEN 3',
  ]);
});

describe('a block is not recognized as a page without its magic', () => {
  test('if it is on the free list, or may have been freed in a file with a trie', async () => {
    const bytes = withoutDigest(await smallFile('v2'));
    // Another program writes the link only.
    const freed = damaged(withHeader(bytes, { freeListHead: 1n << 40n, entryCount: 0n }), (_, view) =>
      view.setBigUint64(BLOCK_BYTES, 0n, true),
    );
    expect((await verifyAll(freed)).findings).toEqual([]);
    const lost = withHeader(freed, { freeListHead: 0n });
    expect((await verifyAll(lost)).findings.map(({ code, severity }) => `${severity} ${code}`)).toEqual([
      'error PAGE_MAGIC',
    ]);
    const trie = withHeader(lost, { rootPointer: (1n << 63n) | (1n << 40n) });
    expect((await verifyAll(trie)).findings.map(({ code }) => code)).toContain('BLOCK_UNWRITTEN');
    expect((await verifyAll(trie)).findings.map(({ code }) => code)).not.toContain('PAGE_MAGIC');
    const broken = setLink(4, 77n);
    expect((await verifyAll(broken)).findings.map(({ code }) => code)).not.toContain('PAGE_MAGIC');
  });
});

test('blocks that a broken free list does not reach are reported as such', async () => {
  const { findings } = await verifyAll(setLink(2, 50n << 40n));
  expect(findings.map(({ code, block, message }) => `${code} ${block}: ${message}`)).toEqual([
    expect.stringContaining('FREE_LIST_LINK 2: '),
    'BLOCK_UNKNOWN 4: block 4 starts like a free block, but is not on the part of the free list that can be followed',
    'BLOCK_UNWRITTEN 3: block 3: allocated but never written; or it is free, since the free list could not be followed to its end',
  ]);
});

test('an interrupted check reports what it has found so far', async () => {
  const bytes = damaged(free, (_, view) => view.setUint16(fileOffset(1, 8), 9, true));
  const stop = new AbortController();
  const { findings, summary } = await verifyAll(bytes, {
    signal: stop.signal,
    onProgress: (done) => void (done === 3 && stop.abort()),
  });
  expect(findings.map(({ code }) => code)).toEqual(['PAGE_VERSION', 'PAGE_CHECKSUM']);
  expect(summary).toMatchObject({ interrupted: true, blocks: 3, pages: 1, unwrittenBlocks: 0 });
  expect((await verifyAll(bytes)).summary.interrupted).toBe(false);
  const before = await verifyAll(bytes, { signal: AbortSignal.abort() });
  expect(before.summary).toMatchObject({ interrupted: true, blocks: 1, pages: 0 });
});
