import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { COMMIT_SLOT_BYTES } from '../../src/format/commit-record.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, fileOffset, PAGE_HEADER_BYTES } from '../../src/format/layout.ts';
import { examinePage } from '../../src/format/page-checks.ts';
import { commitOf, type PageFormat } from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { damaged } from '../support/damage.ts';
import { expectSameBytes } from '../support/files.ts';
import { hexOf, makeNodes } from '../support/nodes.ts';
import { nodesByRef, recoverAll } from '../support/recover.ts';
import { repairsFully, stays } from '../support/repair-expectations.ts';
import { specDigestSum, withDigest } from '../support/spec-digest.ts';
import { specNodes } from '../support/spec-reader.ts';
import { brief, verifyAll } from '../support/verify.ts';

const SECTOR = 512;

interface States {
  /** After all commits. */
  readonly newest: Uint8Array;
  /** After each of them, and before the file was closed. */
  readonly states: readonly Uint8Array[];
  readonly nodes: readonly string[];
}

/** Appends each node in a commit of its own. */
async function statesOf(pageFormat: PageFormat, isClosed: boolean, nodes: readonly Uint8Array[]): Promise<States> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  const states: Uint8Array[] = [];
  for (const node of nodes) {
    await store.append(node);
    states.push(file.bytes.slice());
  }
  if (isClosed) await store.close();
  return { newest: file.bytes.slice(), states, nodes: nodes.map(hexOf) };
}

const nineOf = (nodeBytes: number): Uint8Array[] => makeNodes(9, nodeBytes, nodeBytes);

/** The state of `back` commits earlier than the last. */
function before({ states }: States, back: number): Uint8Array {
  const state = states[states.length - 1 - back];
  if (state === undefined) throw new Error(`there is no state ${back} commits before the last`);
  return state;
}

/** With the first sector of a block as it was in another state of the file. */
const withSector = (bytes: Uint8Array, state: Uint8Array, block: number): Uint8Array =>
  damaged(bytes, (copy) => copy.set(state.subarray(fileOffset(block), fileOffset(block) + SECTOR), fileOffset(block)));

const nodesIn = (bytes: Uint8Array): string[] => specNodes(bytes).map((node) => hexOf(node.bytes));

const opening = async (bytes: Uint8Array): Promise<PageStore> => PageStore.open(new MemoryBlockFile(bytes.slice()));

const cases = (['v1', 'v2'] as const).flatMap((format) => [true, false].map((isClosed) => ({ format, isClosed })));

describe.each(cases)('the first sector of a $format page of three commits earlier, closed: $isClosed,', (each) => {
  const { format, isClosed } = each;

  test('gets its header from the commit record, if the digest of the page headers proves it', async () => {
    const states = await statesOf(format, isClosed, nineOf(300));
    const bytes = withSector(states.newest, before(states, 3), 1);
    const { findings } = await verifyAll(bytes);
    expect(brief(findings)).toEqual(['error PAGES_DIGEST 1', 'warning ENTRY_COUNT 0']);
    expect(findings[0]?.next).toContain('repair --dry-run');
    await expect(opening(bytes)).rejects.toMatchObject({
      code: 'PAGES_DIGEST',
      message: expect.stringContaining('block 1 has the header of commit '),
    });
    const result = await repairsFully(bytes);
    expect(new Set(result.changes.map(({ repair }) => repair))).toEqual(new Set(['page-record']));
    for (const { offset, after } of result.changes)
      expect(offset + after.length).toBeLessThanOrEqual(BLOCK_BYTES + PAGE_HEADER_BYTES);
    expectSameBytes(result.bytes, states.newest);
    expect(nodesIn(result.bytes)).toEqual(states.nodes);
    expect((await verifyAll(result.bytes)).summary).toMatchObject({ ok: true, digest: 'matches', nodes: 9 });
    await (await opening(result.bytes)).close();
  });

  test('gets a new header in the recovered file too, which is whole', async () => {
    const states = await statesOf(format, isClosed, nineOf(300));
    const { summary, bytes, blocks } = await recoverAll(withSector(states.newest, before(states, 3), 1));
    expect(summary).toMatchObject({ isWhole: true, digest: 'matches', nodes: 9, slots: { sound: 9 } });
    expect(blocks[1]).toMatchObject({ basis: 'commit record', problems: [{ code: 'PAGES_DIGEST', count: 1 }] });
    expect(nodesIn(bytes)).toEqual(states.nodes);
    expect([...(await nodesByRef(bytes)).keys()]).toEqual(states.nodes.map((_, slot) => `1:${slot}`));
  });

  test.each([
    ['its last nodes are in that sector', 10, 3],
    ['it is a whole page of then', 300, 3],
  ])('stays, and no file is called whole, if %s', async (_, nodeBytes, back) => {
    const states = await statesOf(format, isClosed, nineOf(nodeBytes));
    const isPage = nodeBytes > 10;
    const then = before(states, back);
    const bytes = isPage
      ? damaged(states.newest, (copy) => copy.set(then.subarray(BLOCK_BYTES, 2 * BLOCK_BYTES), BLOCK_BYTES))
      : withSector(states.newest, then, 1);
    const { findings } = await verifyAll(bytes);
    expect(brief(findings)).toEqual(['error PAGES_DIGEST 1', 'warning ENTRY_COUNT 0']);
    expect(findings[0]?.next).toContain(' recover ');
    await stays(bytes, ['PAGES_DIGEST']);
    await expect(opening(bytes)).rejects.toMatchObject({ code: 'PAGES_DIGEST' });
    expect((await recoverAll(bytes)).summary).toMatchObject({ isWhole: false, digest: 'differs', nodes: 9 - back });
  });

  test('stays if the digest says that something else is lost as well, and recover takes its nodes', async () => {
    const states = await statesOf(format, isClosed, nineOf(300));
    const file = new MemoryBlockFile(states.newest.slice());
    const store = await PageStore.open(file);
    const records = file.bytes.slice(4096, 8192 + COMMIT_SLOT_BYTES);
    await store.update({ block: 1, slot: 8 }, new Uint8Array(300));
    await store.close();
    // The update left the record of the commit before it.
    expectSameBytes(file.bytes.slice(4096, 8192 + COMMIT_SLOT_BYTES), records);
    const lost = damaged(file.bytes, (copy) => copy.set(states.newest.subarray(BLOCK_BYTES), BLOCK_BYTES));
    const bytes = withSector(lost, before(states, 3), 1);
    const { findings } = await verifyAll(bytes);
    expect(brief(findings)).toEqual(['error PAGES_DIGEST 0', 'warning ENTRY_COUNT 0']);
    expect(findings[0]?.next).toContain(' recover ');
    await stays(bytes, ['PAGES_DIGEST']);
    const { summary } = await recoverAll(bytes);
    expect(summary).toMatchObject({ isWhole: false, digest: 'differs', nodes: 9 });
  });

  test('is noticed, and repaired, with a file header of the last commit but one', async () => {
    const states = await statesOf(format, isClosed, nineOf(300));
    const bytes = withSector(withSector(states.newest, before(states, 3), 1), before(states, 1), 0);
    const found = (await verifyAll(bytes)).findings.filter(({ severity }) => severity === 'error');
    expect(found.every(({ next }) => next.includes('repair --dry-run'))).toBe(true);
    await expect(opening(bytes)).rejects.toMatchObject({
      code: expect.stringMatching(/^(PAGES_DIGEST|FILE_HEADER_OLD)$/),
    });
    const result = await repairsFully(bytes);
    expect((await verifyAll(result.bytes)).summary).toMatchObject({ ok: true, digest: 'matches', nodes: 9 });
    expect((await recoverAll(bytes)).summary.nodes).toBe(9);
  });

  test('is repaired together with an old file header', async () => {
    const states = await statesOf(format, isClosed, nineOf(300));
    const bytes = withSector(withSector(states.newest, before(states, 3), 1), before(states, 5), 0);
    const { findings } = await verifyAll(bytes);
    const old = findings.find(({ code }) => code === 'FILE_HEADER_OLD');
    expect(old?.next).toContain('repair --dry-run');
    const result = await repairsFully(bytes);
    expect(new Set(result.changes.map(({ repair }) => repair))).toContain('page-record');
    expect(new Set(result.changes.map(({ repair }) => repair))).toContain('header-newer');
    expect(nodesIn(result.bytes)).toEqual(states.nodes);
  });
});

test('a V2 page whose directory was overwritten since is no valid page, and gets its header as well', async () => {
  const states = await statesOf('v2', true, [...makeNodes(150, 10, 10), ...makeNodes(50, 5000, 5000)]);
  const back = Array.from({ length: 198 }, (_, index) => index + 2).find((each) => {
    const bytes = withSector(states.newest, before(states, each), 1);
    return examinePage(bytes.subarray(BLOCK_BYTES, 2 * BLOCK_BYTES), 1)?.error !== undefined;
  });
  if (back === undefined) throw new Error('every old header is still valid');
  const bytes = withSector(states.newest, before(states, back), 1);
  expect(commitOf(bytes.subarray(BLOCK_BYTES))).toBeLessThan(commitOf(states.newest.subarray(BLOCK_BYTES)));
  const result = await repairsFully(bytes);
  expectSameBytes(result.bytes, states.newest);
});

test('an old page header stays if the digest leaves out its block', async () => {
  const states = await statesOf('v1', true, nineOf(300));
  const range = { openFrom: 1, openEnd: 2 };
  const open = withDigest(states.newest, { sum: specDigestSum(states.newest, 1, 2), ...range });
  expect((await verifyAll(open)).summary).toMatchObject({ ok: true, digest: 'matches' });
  const bytes = withSector(open, before(states, 3), 1);
  await stays(bytes, []);
});

test('an old page header without a commit record stays', async () => {
  const states = await statesOf('v1', true, nineOf(300));
  const bytes = damaged(withSector(states.newest, before(states, 3), 1), (copy) => {
    for (const offset of COMMIT_RECORD_OFFSETS) copy.fill(0, offset, offset + COMMIT_SLOT_BYTES);
  });
  await stays(bytes, ['PAGES_DIGEST']);
});
