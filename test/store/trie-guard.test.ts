import { describe, expect, test } from 'vitest';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { ByteNodeArenaV1 } from '../../src/format/byte-node-arena.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { smallFile, withHeader } from '../support/damage.ts';
import { expectSameBytes } from '../support/files.ts';
import { trieBytes } from '../support/tries.ts';
import { text } from '../support/nodes.ts';
import { withoutDigest } from '../support/spec-digest.ts';
import { specNodes } from '../support/spec-reader.ts';

const small = withHeader(withoutDigest(await smallFile('v2')), { rootPointer: 64n << 18n });

const FILES: [string, Uint8Array][] = [
  ['a trie of libdictenstein', trieBytes('real', 'five')],
  ['a file of V2 pages with a root pointer', await opened(small)],
];

/** What opening and closing leaves: commit records that belong to another header are gone. */
async function opened(bytes: Uint8Array): Promise<Uint8Array> {
  const file = new MemoryBlockFile(bytes.slice());
  await (await PageStore.open(file)).close();
  return file.bytes.slice();
}

const REFUSED: [string, (store: PageStore) => unknown][] = [
  ['append', (store) => store.append(text('node'))],
  ['appendMany', (store) => store.appendMany([text('node')])],
  ['appendMany of packed bytes', (store) => store.appendMany(text('node'), [2, 2])],
  ['appendFrom', (store) => store.appendFrom(new EpochArena(), [])],
  ['stage', async (store) => store.stage(text('node'))],
  ['makeRoom', (store) => store.makeRoom(4)],
  ['allocate', (store) => store.allocate(1)],
  ['addPage', (store) => store.addPage(new ByteNodeArenaV1())],
  ['update', (store) => store.update({ block: 1, slot: 0 }, text('node'))],
];

describe.each(FILES)('in %s', (_, before) => {
  test.each(REFUSED)('%s is refused, and nothing is written', async (_name, change) => {
    const file = new MemoryBlockFile(before.slice());
    const store = await PageStore.open(file);
    await expect(change(store)).rejects.toMatchObject({
      code: 'FILE_HAS_TRIE',
      message: expect.stringContaining('the file holds a trie of libdictenstein'),
    });
    await store.close();
    expectSameBytes(file.bytes, before);
  });

  test('free is refused', async () => {
    const file = new MemoryBlockFile(before.slice());
    const store = await PageStore.open(file);
    await expect(store.free(1)).rejects.toMatchObject({ code: 'BLOCK_IN_USE' });
    await store.close();
    expectSameBytes(file.bytes, before);
  });

  test('all of it is done with evenIfTrie', async () => {
    const store = await PageStore.open(new MemoryBlockFile(before.slice()), { evenIfTrie: true });
    const ref = await store.append(text('node'));
    await store.update(ref, text('NODE'));
    expect(await store.read(ref)).toEqual(new Uint8Array(text('NODE')));
    const [block = 0] = await store.allocate(1);
    await store.free(block);
    await store.close();
  });
});

test('finalizing keeps every node and every count of a trie, and the directories of its pages', async () => {
  const before = trieBytes('real', 'evicted');
  const file = new MemoryBlockFile(before.slice());
  const store = await PageStore.open(file);
  await store.finalize();
  await store.close();
  const after = file.bytes;
  // The bytes that libdictenstein reads: header, root descriptor, and pages but for flags and sums in their headers.
  expectSameBytes(after.subarray(0, 12), before.subarray(0, 12));
  expectSameBytes(after.subarray(16, 48), before.subarray(16, 48));
  expectSameBytes(after.subarray(56, 88), before.subarray(56, 88));
  for (let block = 1; block * BLOCK_BYTES < before.length; block++) {
    const at = block * BLOCK_BYTES;
    expectSameBytes(after.subarray(at, at + 10), before.subarray(at, at + 10));
    expectSameBytes(after.subarray(at + 12, at + 24), before.subarray(at + 12, at + 24));
    expectSameBytes(after.subarray(at + 64, at + BLOCK_BYTES), before.subarray(at + 64, at + BLOCK_BYTES));
  }
  expect(specNodes(after)).toEqual(specNodes(before));
});

test('a file without a root pointer takes everything', async () => {
  const store = await PageStore.open(new MemoryBlockFile(await smallFile('v1')));
  const ref = await store.append(text('node'));
  await store.update(ref, text('NODE'));
  await store.free((await store.allocate(1))[0]!);
  await store.close();
});
