import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { decodeCommitRecords } from '../../src/disk/committed-view.ts';
import { encodeCommitRecord } from '../../src/format/commit-record.ts';
import { digestIn, hashOf } from '../../src/format/digest.ts';
import { PAGE_HEADER } from '../../src/format/page-header.ts';
import { COMMIT_RECORD_OFFSETS, encodeFreeLink, fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { damaged, withHeader } from '../support/damage.ts';
import { expectSameBytes } from '../support/files.ts';
import { makeNodes, text } from '../support/nodes.ts';
import { brief, verifyAll } from '../support/verify.ts';

/** Several full pages, the last of them open. */
async function fullPages(pageFormat: 'v1' | 'v2'): Promise<MemoryBlockFile> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  await store.appendMany(makeNodes(60, 20_000, 20_000));
  await store.close();
  return file;
}

describe.each(['v1', 'v2'] as const)('a writer in a file of %s pages whose block 0 is an older state', (pageFormat) => {
  /** Block 0 is that before a change of page 1, so nothing in it shows that it is old. */
  async function withOldBlock0(change: (store: PageStore) => Promise<unknown>): Promise<MemoryBlockFile> {
    const file = await fullPages(pageFormat);
    const before = file.bytes.slice(0, 12_800);
    const store = await PageStore.open(file);
    await change(store);
    await store.close();
    file.bytes.set(before);
    return file;
  }

  test('does not overwrite a page that is newer', async () => {
    const node = new Uint8Array(20_000).fill(9);
    const file = await withOldBlock0((store) => store.update({ block: 1, slot: 3 }, node));
    const page = file.bytes.slice(fileOffset(1), fileOffset(2));
    const store = await PageStore.open(file);
    const refused = { code: 'FILE_HEADER_OLD' };
    await expect(store.update({ block: 1, slot: 3 }, node)).rejects.toMatchObject(refused);
    await expect(store.free(1)).rejects.toMatchObject(refused);
    await expect(store.finalize({ blocks: [1] })).rejects.toMatchObject(refused);
    await store.close();
    expectSameBytes(file.bytes.subarray(fileOffset(1), fileOffset(2)), page);
    expect(brief((await verifyAll(file.bytes)).findings)).toContain('error FILE_HEADER_OLD 0');
  });
});

describe.each(['v1', 'v2'] as const)('a %s page that another program has freed', (pageFormat) => {
  /** The program puts the page on the free list, and leaves entry count, digest, and the rest of the page as they are. */
  async function freedByOther(): Promise<Uint8Array> {
    const file = await fullPages(pageFormat);
    const freed = damaged(file.bytes, (_, view) => view.setBigUint64(fileOffset(2), encodeFreeLink(0), true));
    return withHeader(freed, { freeListHead: encodeFreeLink(2) });
  }

  test('explains the nodes that the header counts and the pages do not have', async () => {
    const found = brief((await verifyAll(await freedByOther())).findings);
    expect(found).toEqual(['warning DIGEST_FOREIGN 0', 'warning ENTRY_COUNT 0']);
  });

  test('does not keep a writer from the file, which takes the digest up', async () => {
    const file = new MemoryBlockFile(await freedByOther());
    const store = await PageStore.open(file);
    const ref = await store.append(text('after it'));
    await store.close();
    const { findings, summary } = await verifyAll(file.bytes);
    expect(brief(findings)).toEqual(['warning ENTRY_COUNT 0']);
    expect(summary.digest).toBe('matches');
    const reader = await PageStore.open(file, { access: 'read' });
    expect(Buffer.from(await reader.read(ref)).toString()).toBe('after it');
  });

  test('does not explain the loss of another page', async () => {
    const lost = damaged(await freedByOther(), (copy) => copy.fill(0, fileOffset(3), fileOffset(4)));
    expect(brief((await verifyAll(lost)).findings)).toContain('error ENTRY_COUNT 0');
    const store = await PageStore.open(new MemoryBlockFile(lost));
    await expect(store.append(text('x'))).rejects.toMatchObject({ code: 'ENTRY_COUNT' });
  });
});

describe.each(['v1', 'v2'] as const)('a file of %s pages with a commit record that does not count', (pageFormat) => {
  test('of a commit that was never acknowledged, whose number another commit has: its page is not an old one', async () => {
    const file = await fullPages(pageFormat);
    const { commit } = digestIn(file.bytes).state!; // the file has a digest
    const [last] = decodeCommitRecords(file.bytes);
    const blockHead = file.bytes.slice(fileOffset(1), fileOffset(1, 64));
    PAGE_HEADER.set('commit', BigInt(commit), blockHead);
    const stale = { ...last!, block: 1, blockHead, digest: { sum: hashOf(7n), commit } }; // there was a commit
    file.bytes.set(encodeCommitRecord(stale, 9n), COMMIT_RECORD_OFFSETS[1]);
    PAGE_HEADER.set('commit', BigInt(commit - 1), file.bytes.subarray(fileOffset(1)));
    const codes = (await verifyAll(file.bytes)).findings.map(({ code, block }) => `${code} ${block}`);
    expect(codes).not.toContain('PAGES_DIGEST 1');
    await (await PageStore.open(file)).close();
  });

  test('of a block that was taken and freed again, so that all headers are as before it', async () => {
    const file = await fullPages(pageFormat);
    const store = await PageStore.open(file);
    await store.free(2);
    await store.allocate(1);
    await store.free(2);
    const [taken, freed] = decodeCommitRecords(file.bytes);
    expect([taken?.block, freed?.block]).toEqual([2, 2]);
    // It changes the digest, and neither the file header nor a record.
    await store.update({ block: 1, slot: 3 }, new Uint8Array(20_000).fill(9));
    expect((await verifyAll(file.bytes)).summary).toMatchObject({ ok: true, digest: 'matches' });
    await store.close();
  });
});
