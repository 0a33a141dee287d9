import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { damaged, withHeader } from '../support/damage.ts';
import { trieBytes, trieNames } from '../support/tries.ts';
import { makeNodes, text } from '../support/nodes.ts';
import { brief, verifyAll } from '../support/verify.ts';

const withArenas = (bytes: Uint8Array, arenas: number): Uint8Array =>
  damaged(bytes, (_, view) => view.setUint32(70, arenas, true));

const codesOf = async (bytes: Uint8Array): Promise<string[]> => {
  const { findings } = await verifyAll(bytes);
  return brief(findings).filter((line) => !line.startsWith('info'));
};

async function changed(bytes: Uint8Array, change: (store: PageStore) => Promise<unknown>): Promise<Uint8Array> {
  const file = new MemoryBlockFile(bytes.slice());
  const store = await PageStore.open(file, { evenIfTrie: true });
  await change(store);
  await store.close();
  return file.bytes;
}

/** Tries of characters and vocabularies are not read yet. */
const BYTE_TRIES = trieNames('real').filter((name) => !/^(char|vocab)-/.test(name));

test.each(BYTE_TRIES)('%s, which libdictenstein wrote, has no error and no warning', async (name) => {
  expect(await codesOf(trieBytes('real', name))).toEqual([]);
});

test('nor has one whose pages are finalized', async () => {
  expect(await codesOf(await changed(trieBytes('real', 'slottracking'), (store) => store.finalize()))).toEqual([]);
});

describe('an error is', () => {
  test('a count of arenas that does not reach the root record', async () => {
    const bytes = withArenas(trieBytes('real', 'slottracking'), 1);
    expect(await codesOf(bytes)).toEqual(['error TRIE_ARENA_COUNT 0', 'error TRIE_BLOCK_COUNT 0']);
    const { findings } = await verifyAll(bytes);
    expect(findings[0]).toMatchObject({ offset: 70, found: '1', expected: 'at least 2' });
    expect(findings[0]?.message).toContain('opens the file as an empty trie');
  });

  test('a block that was allocated', async () => {
    const bytes = await changed(trieBytes('real', 'five'), (store) => store.allocate(1));
    expect(await codesOf(bytes)).toEqual(['error TRIE_BLOCK_COUNT 0']);
    const { findings } = await verifyAll(bytes);
    expect(findings.find(({ code }) => code === 'TRIE_BLOCK_COUNT')).toMatchObject({
      offset: 24,
      found: '3',
      expected: '2',
      message: expect.stringContaining('reads other terms after its next checkpoint'),
    });
  });

  test('a block that was appended', async () => {
    const bytes = await changed(trieBytes('real', 'five'), (store) => store.appendMany(makeNodes(10_000, 30, 40)));
    expect(await codesOf(bytes)).toEqual(['error TRIE_BLOCK_COUNT 0']);
  });

  test('a block that was freed', async () => {
    const bytes = await changed(trieBytes('real', 'evicted'), (store) => store.free(2));
    expect(await codesOf(bytes)).toEqual(['error TRIE_FREE_BLOCKS 0']);
  });

  test('each V2 page', async () => {
    const bytes = await changed(trieBytes('real', 'five'), (store) => store.allocate(2, 'v2'));
    expect(await codesOf(bytes)).toEqual([
      'error TRIE_BLOCK_COUNT 0',
      'error TRIE_PAGE_FORMAT 2',
      'error TRIE_PAGE_FORMAT 3',
    ]);
  });
});

test('a page that is lost too is still found by the digest', async () => {
  const bytes = await changed(trieBytes('real', 'five'), async (store) => {
    await store.allocate(2);
    await store.append(text('node'));
  });
  bytes.fill(0, 2 * 262_144, 3 * 262_144);
  expect(await codesOf(bytes)).toEqual(expect.arrayContaining(['error TRIE_BLOCK_COUNT 0', 'error PAGES_DIGEST 0']));
});

test('a file without a root pointer is not judged by what a trie needs', async () => {
  expect(
    await codesOf(withHeader(withArenas(trieBytes('real', 'five'), 9), { rootPointer: 0n, entryCount: 0n })),
  ).toEqual([]);
});
