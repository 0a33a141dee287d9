import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { PAGE_HEADER, type PageFormat } from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { type Finding, verify, type VerifyReport } from '../../src/verify/verify.ts';
import { damaged, withHeader } from '../support/damage.ts';
import { goldenBytes } from '../support/files.ts';
import { makeNodes, text } from '../support/nodes.ts';
import { specDigestSum, withDigest, withoutDigest, withOwnDigest } from '../support/spec-digest.ts';
import { brief, verifyAll } from '../support/verify.ts';

const folder = mkdtempSync(join(tmpdir(), 'artrie-pages-digest-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'file');

/** Blocks of the large files: more than one thread checks at a time. */
const BLOCKS = 141;
const FORMATS: readonly PageFormat[] = ['v1', 'v2'];

interface States {
  /** Closed: pages in 1 to 140, nodes in 1, 2, 70 and 139 at least. */
  readonly last: Uint8Array;
  /** Some commits before: without the last nodes of blocks 139 and 140. */
  readonly older: Uint8Array;
}

async function makeStates(pageFormat: PageFormat): Promise<States> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  await store.appendMany(makeNodes(200, 20_000, 20_000));
  await store.allocate(BLOCKS - file.bytes.length / BLOCK_BYTES - 2, pageFormat);
  await store.append(new Uint8Array(261_000));
  await store.append(text('first in the last page'));
  const older = file.bytes.slice();
  for (const word of ['second', 'third', 'fourth']) await store.append(text(word));
  await store.update({ block: 2, slot: 1 }, new Uint8Array(20_000).fill(7));
  await store.close();
  return { last: file.bytes.slice(), older };
}

const made: Record<PageFormat, States> = { v1: await makeStates('v1'), v2: await makeStates('v2') };

const blockOf = (bytes: Uint8Array, block: number): Uint8Array =>
  bytes.subarray(fileOffset(block), fileOffset(block + 1));

/** The last block with a page. */
const lastPage = (bytes: Uint8Array): number => bytes.length / BLOCK_BYTES - 1;

interface Result {
  readonly findings: Finding[];
  readonly report: VerifyReport;
}

/** With one thread and with two, which have to say the same. */
async function checked(bytes: Uint8Array): Promise<Result> {
  writeFileSync(path, bytes);
  const results: Result[] = [];
  for (const threads of [1, 2]) {
    const findings: Finding[] = [];
    const report = await verify(path, { threads, onFinding: (finding) => void findings.push(finding) });
    results.push({ findings, report });
  }
  expect(results[1]).toEqual(results[0]);
  return results[0]!; // the loop has two rounds
}

describe.each(FORMATS)('a digest of %s pages', (pageFormat) => {
  const { last, older } = made[pageFormat];

  test('matches in a good file, which is more than one thread checks', async () => {
    expect(last.length / BLOCK_BYTES).toBeGreaterThan(130);
    const { findings, report } = await checked(last);
    expect(findings).toEqual([]);
    expect(report).toMatchObject({ ok: true, digest: 'matches' });
    expect((await verifyAll(older)).summary.digest).toBe('matches');
  });

  test('shows a page that was overwritten with zeros, and names the block', async () => {
    const block = 70;
    const { findings, report } = await checked(damaged(last, (copy) => blockOf(copy, block).fill(0)));
    expect(brief(findings)).toEqual([`info BLOCK_UNWRITTEN ${block}`, 'error PAGES_DIGEST 0', ...count(last, block)]);
    expect(findings[1]?.message).toContain(`block ${block} may have been overwritten with zeros`);
    expect(findings[1]).toMatchObject({ offset: 96, bytes: 8, isBeyondRepair: true });
    expect(report).toMatchObject({ ok: false, digest: 'differs' });
  });

  test('shows two pages that have changed places', async () => {
    const swapped = damaged(last, (copy) => {
      blockOf(copy, 3).set(blockOf(last, 100));
      blockOf(copy, 100).set(blockOf(last, 3));
    });
    const { findings } = await checked(swapped);
    expect(brief(findings)).toEqual(['error PAGE_MISPLACED 3', 'error PAGE_MISPLACED 100', 'error PAGES_DIGEST 0']);
    expect(findings[0]).toMatchObject({ found: '100', expected: '3', offset: fileOffset(3, 36), isBeyondRepair: true });
    expect(findings[2]?.message).toContain('2 pages are in the places of others');
  });

  test('shows a page that was written over another one', async () => {
    const { findings } = await checked(damaged(last, (copy) => blockOf(copy, 101).set(blockOf(last, 100))));
    expect(brief(findings).slice(0, 2)).toEqual(['error PAGE_MISPLACED 101', 'error PAGES_DIGEST 0']);
    expect(findings[1]?.message).toContain('1 page is in the place of another one');
  });

  test('shows a page that is an older state of itself', async () => {
    const block = lastPage(last);
    const { findings } = await checked(damaged(last, (copy) => blockOf(copy, block).set(blockOf(older, block))));
    // The update after it has changed the digest, so nothing shows any more that the record took effect.
    expect(brief(findings)).toEqual(['error PAGES_DIGEST 0', 'warning ENTRY_COUNT 0']);
    // The update of block 2 changed neither the file header nor a record.
    const before = await checked(damaged(last, (copy) => blockOf(copy, 2).set(blockOf(older, 2))));
    expect(brief(before.findings)).toEqual(['error PAGES_DIGEST 0']);
    expect(before.findings[0]?.message).toContain('a page is lost, or is an older state of itself');
  });

  test.each([
    ['the digest alone', older, [[88, 128]]],
    ['the digest and what is after it', older, [[88, 512]]],
    ['the digest after an update', last, [[88, 128]]],
  ] as const)('is missed if zeros were written over %s, although a commit record has it', async (_, state, ranges) => {
    const zeroed = damaged(state, (copy) => ranges.forEach(([from, to]) => copy.fill(0, from, to)));
    const { findings } = await verifyAll(zeroed);
    expect(brief(findings)).toEqual(['error FILE_HEADER_OLD 0']);
    expect(findings[0]?.message).toContain('it has no digest, but the header copy is of commit ');
    await expect(PageStore.open(new MemoryBlockFile(zeroed), { access: 'write' })).rejects.toMatchObject({
      code: 'FILE_HEADER_OLD',
    });
  });

  test('shows an older state of the first sector', async () => {
    const restored = damaged(last, (copy) => copy.set(older.subarray(0, 512)));
    const { findings, report } = await checked(restored);
    expect(brief(findings)).toEqual(['error FILE_HEADER_OLD 0', 'warning ENTRY_COUNT 0']);
    expect(findings[0]?.message).toContain('but the header copy is of commit ');
    expect(findings[0]?.next).toContain('repair --dry-run');
    expect(report.ok).toBe(false);
    // Without copy and records, the pages show it.
    const bare = damaged(restored, (copy) => copy.fill(0, 4096, 12_800));
    const { findings: more } = await checked(bare);
    expect(brief(more)).toEqual(['error FILE_HEADER_OLD 0', 'warning ENTRY_COUNT 0']);
    expect(more[0]?.message).toContain('but block ');
    expect(more[0]?.next).toContain(' recover ');
    // The header copy proves nothing if a page is lost as well.
    const lost = await checked(damaged(restored, (copy) => blockOf(copy, 70).fill(0)));
    const old = lost.findings.find(({ code }) => code === 'FILE_HEADER_OLD');
    expect(old?.next).toContain(' recover ');
  });

  test('is not what an error in a page is called', async () => {
    const { findings, report } = await checked(damaged(last, (copy) => blockOf(copy, 70).fill(9, 0, 64)));
    expect(brief(findings)).toEqual(['error BLOCK_UNKNOWN 70', ...count(last, 70)]);
    expect(report.digest).toBe('differs');
  });
});

/** The finding about the count of nodes, if the page in `block` is lost and something else explains it. */
const count = (bytes: Uint8Array, block: number): string[] =>
  PAGE_HEADER.read(blockOf(bytes, block)).nodeCount === 0 ? [] : ['warning ENTRY_COUNT 0'];

describe('a digest', () => {
  const { last } = made.v1;

  test('that is not in the file is no finding', async () => {
    const { findings, report } = await checked(withoutDigest(last));
    expect(findings).toEqual([]);
    expect(report.digest).toBe('absent');
    expect((await verifyAll(goldenBytes('v1'))).summary.digest).toBe('absent');
  });

  test('that is gone, while the header copy has one, shows an older header', async () => {
    const { findings, summary } = await verifyAll(
      damaged(last, (copy) => {
        copy.fill(0, 88, 128);
        // A commit record would bring it back.
        copy.fill(0, 4096, 8704);
      }),
    );
    expect(brief(findings)).toEqual(['error FILE_HEADER_OLD 0']);
    expect(findings[0]?.message).toContain('it has no digest');
    // The pages add up to the digest of the copy.
    expect(findings[0]?.next).toContain('repair --dry-run');
    expect(summary.digest).toBe('absent');
  });

  test('that is damaged is an error with its flipped bit', async () => {
    const { findings, summary } = await verifyAll(damaged(last, (copy) => (copy[99]! ^= 4)));
    expect(brief(findings)).toEqual(['error PAGES_DIGEST 0']);
    expect(findings[0]).toMatchObject({ offset: 88, bytes: 40, flippedBit: { offset: 99, bit: 2 } });
    expect(findings[0]?.next).toContain('repair --dry-run');
    expect(summary.digest).toBe('damaged');
  });

  test('that is damaged in two bits cannot be repaired', async () => {
    const { findings } = await verifyAll(damaged(last, (copy) => (copy[99]! ^= 5)));
    expect(brief(findings)).toEqual(['error PAGES_DIGEST 0']);
    expect(findings[0]?.next).toContain('recover');
  });

  test('of another file header is a warning, even if a page is lost', async () => {
    const foreign = withHeader(last, { imageCheckpointLsn: 5n });
    expect(brief((await checked(foreign)).findings)).toEqual(['warning DIGEST_FOREIGN 0']);
    const lost = damaged(foreign, (copy) => blockOf(copy, 50).fill(0));
    const { findings, report } = await checked(lost);
    expect(brief(findings)).toEqual(['warning DIGEST_FOREIGN 0', 'info BLOCK_UNWRITTEN 50']);
    expect(report).toMatchObject({ ok: true, digest: 'foreign' });
  });

  test('is not checked if the file header is damaged', async () => {
    const { findings, summary } = await verifyAll(damaged(last, (copy) => (copy[40]! ^= 1)));
    expect(brief(findings)).toEqual(['error FILE_HEADER_CHECKSUM 0', 'warning ENTRY_COUNT 0']);
    expect(summary.digest).toBe('unchecked');
  });

  test('leaves out the blocks of its open range', async () => {
    const [openFrom, openEnd] = [60, 80];
    const open = withDigest(last, { sum: specDigestSum(last, openFrom, openEnd), openFrom, openEnd });
    expect((await checked(open)).report).toMatchObject({ ok: true, digest: 'matches' });
    // A header in it may be the old or the new one.
    const changed = damaged(open, (copy) => blockOf(copy, 79).fill(0));
    expect((await checked(changed)).report).toMatchObject({ ok: true, digest: 'matches' });
    for (const block of [59, 80]) {
      const { report } = await checked(damaged(open, (copy) => blockOf(copy, block).fill(0)));
      expect(report).toMatchObject({ ok: false, digest: 'differs' });
    }
  });

  test('still matches after another program has appended to a page without a checksum', async () => {
    const file = new MemoryBlockFile(goldenBytes('v1'));
    const store = await PageStore.open(file);
    await store.append(text('takes it up'));
    await store.close();
    const before = await verifyAll(file.bytes);
    expect(before.summary).toMatchObject({ ok: true, digest: 'matches' });
    const unchecked = before.findings.find(({ code }) => code === 'PAGE_CHECKSUM_ABSENT')?.block ?? 0;
    expect(unchecked).toBeGreaterThan(0);
    // Another program appends an empty node, and does not touch the file header.
    const { nodeCount, directoryStart } = PAGE_HEADER.read(blockOf(file.bytes, unchecked));
    const appended = damaged(file.bytes, (_, view) => {
      view.setUint32(fileOffset(unchecked, 12), nodeCount + 1, true);
      view.setUint32(fileOffset(unchecked, 20), directoryStart - 8, true);
      view.setUint32(fileOffset(unchecked, directoryStart - 8), 64, true);
      view.setUint32(fileOffset(unchecked, directoryStart - 4), 0, true);
    });
    const { findings, summary } = await verifyAll(appended);
    expect(brief(findings).filter((line) => !line.startsWith('info'))).toEqual(['warning ENTRY_COUNT 0']);
    expect(summary).toMatchObject({ ok: true, digest: 'matches' });
  });

  test('still matches after another program has appended to a page with a checksum', async () => {
    const block = lastPage(last);
    const { nodeCount, directoryStart } = PAGE_HEADER.read(blockOf(last, block));
    const appended = damaged(last, (_, view) => {
      view.setUint32(fileOffset(block, 12), nodeCount + 1, true);
      view.setUint32(fileOffset(block, 20), directoryStart - 8, true);
      view.setUint32(fileOffset(block, directoryStart - 8), 64, true);
      view.setUint32(fileOffset(block, directoryStart - 4), 0, true);
    });
    const { findings, summary } = await verifyAll(appended);
    expect(brief(findings)).toEqual([`warning PAGE_CHECKSUM_STALE ${block}`, 'warning ENTRY_COUNT 0']);
    expect(summary.digest).toBe('matches');
  });

  test('is unchecked if the check is stopped', async () => {
    const lost = damaged(last, (copy) => blockOf(copy, 2).fill(0));
    const stop = new AbortController();
    const onProgress = (done: number): void => void (done === 20 && stop.abort());
    const { findings, summary } = await verifyAll(lost, { signal: stop.signal, onProgress });
    expect(findings).toEqual([]);
    expect(summary).toMatchObject({ interrupted: true, digest: 'unchecked' });
  });
});

describe('a count of nodes above that of the pages', () => {
  test('is an error without a digest, and a warning if a lost page explains it', async () => {
    const { last } = made.v2;
    const lost = damaged(last, (copy) => blockOf(copy, 2).fill(0));
    expect(brief((await verifyAll(lost)).findings)).toEqual([
      'info BLOCK_UNWRITTEN 2',
      'error PAGES_DIGEST 0',
      'warning ENTRY_COUNT 0',
    ]);
    const { findings } = await verifyAll(withoutDigest(lost));
    expect(brief(findings)).toEqual(['info BLOCK_UNWRITTEN 2', 'error ENTRY_COUNT 0']);
    expect(findings[1]).toMatchObject({ isBeyondRepair: true });
  });

  test('is a warning while another program may still finalize nodes', async () => {
    const bytes = withHeader(goldenBytes('v2-unfinalized'), { entryCount: 1_000_000n });
    const found = brief((await verifyAll(bytes)).findings).filter((line) => line.includes('ENTRY_COUNT'));
    expect(found).toEqual(['warning ENTRY_COUNT 0']);
  });

  test('is an error with a digest that matches', async () => {
    const { last } = made.v1;
    const entryCount = new DataView(last.buffer).getBigUint64(40, true);
    const high = withOwnDigest(withHeader(last, { entryCount: entryCount + 1n }));
    const low = withOwnDigest(withHeader(last, { entryCount: entryCount - 10n }));
    expect(brief((await verifyAll(high)).findings)).toEqual(['error ENTRY_COUNT 0']);
    expect(brief((await verifyAll(low)).findings)).toEqual(['warning ENTRY_COUNT 0']);
  });
});

describe('a file that a writer changes during the check', () => {
  const CHANGES: readonly (readonly [string, (store: PageStore) => Promise<unknown>])[] = [
    ['append', (store) => store.append(text('meanwhile'))],
    ['update', (store) => store.update({ block: 1, slot: 0 }, text('ONE'))],
    ['finalize', (store) => store.finalize()],
    ['allocate', (store) => store.allocate(3)],
    ['free', (store) => store.free(3)],
  ];

  test.each(CHANGES)('by %s has no finding, and its digest is unchecked', async (_, change) => {
    for (const at of [2, 5]) {
      const file = new MemoryBlockFile();
      const store = await PageStore.create(file);
      await store.append(text('one'));
      await store.finalize();
      await store.append(text('two'));
      await store.allocate(3);
      const onProgress = async (done: number): Promise<void> => {
        if (done === at) await change(store);
      };
      const { findings, summary } = await verifyAll(file, { onProgress });
      expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
      expect(summary).toMatchObject({ changed: true, digest: 'unchecked' });
      await store.close();
      expect((await verifyAll(file)).summary).toMatchObject({ ok: true, digest: 'matches' });
    }
  });
});
