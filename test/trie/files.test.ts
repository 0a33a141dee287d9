import { describe, expect, test } from 'vitest';
import { hexOf, listTerms, ReadBlocks, realTerms, trieBytes, trieNames, withTrie } from '../support/tries.ts';

/** Files of which no byte trie can be read, with the code of the error. */
const WITHOUT_BYTE_TRIE: Readonly<Record<string, string>> = {
  created: 'NO_TRIE',
  'wal-only': 'NO_TRIE',
  'char-small': 'OTHER_TRIE',
  'vocab-small': 'NOT_A_PAGE_FILE',
};

const readable = trieNames('real').filter((name) => !(name in WITHOUT_BYTE_TRIE));

describe('files of libdictenstein', () => {
  test('are there', () => {
    expect(readable.length).toBeGreaterThanOrEqual(28);
  });

  test.each(readable)('%s has the terms and values that the crate lists, in either direction', async (name) => {
    const bytes = trieBytes('real', name);
    const expected = realTerms(name);
    expect(await listTerms(bytes)).toEqual(expected);
    expect(await listTerms(bytes, { reverse: true })).toEqual(expected.toReversed());
  });

  test.each(readable)('each term of %s is found, and its neighbours are not', async (name) => {
    const expected = new Map(realTerms(name).map((line) => line.split('\t') as [string, string]));
    await withTrie(trieBytes('real', name), async (trie) => {
      // Not an expect for each term, which takes longer than looking it up.
      const wrong: string[] = [];
      for (const [term, value] of expected) {
        const found = await trie.lookup(Buffer.from(term, 'hex'));
        if (!found || hexOf(found.term) !== term || (found.value ? hexOf(found.value) : '-') !== value)
          wrong.push(term);
        for (const other of [term.slice(0, -2), `${term}00`, `${term}ff`, `${term}61`, `ff${term}`])
          if (!expected.has(other) && (await trie.lookup(Buffer.from(other, 'hex')))) wrong.push(other);
      }
      expect(wrong).toEqual([]);
    });
  });

  test.each(Object.entries(WITHOUT_BYTE_TRIE))('%s is refused with %s', async (name, code) => {
    await expect(listTerms(trieBytes('real', name))).rejects.toMatchObject({ code });
  });

  test('a lookup reads only the pages on the way', async () => {
    const file = new ReadBlocks(trieBytes('real', 'evicted'));
    const [first = ''] = realTerms('evicted');
    await withTrie(file, (trie) => trie.lookup(Buffer.from(first.split('\t')[0] ?? '', 'hex')));
    const looked = file.blocks.size;
    file.blocks.clear();
    await withTrie(file, async (trie) => {
      for await (const _ of trie.terms());
    });
    expect(looked).toBeGreaterThan(0);
    expect(looked).toBeLessThan(file.blocks.size);
  });
});

/** Terms of files made by hand that the crate reads, or the code of the error for those that it opens as an empty trie. */
const HAND: Readonly<Record<string, number | string>> = {
  'arenacount-0': 'ROOT_DESCRIPTOR',
  childbuckets: 4,
  childtype104: 'TRIE_NODE',
  'childtype16-of-4': 1,
  childtype77: 1,
  dag: 93,
  'datasize-wrong': 1,
  'extra-block': 93,
  flags0f: 1,
  forward: 1,
  full: 93,
  'header-version-1': 93,
  'isfinal-descriptor-only': 94,
  'isfinal-record-only': 93,
  isfinal2: 'ROOT_DESCRIPTOR',
  'n256-of-1': 1,
  padding9: 1,
  prefixed: 93,
  rel: 93,
  rootbucket: 3,
  rootempty: 0,
  'rootptr-type0': 93,
  'rootrecord-type-bucket': 93,
  // The crate takes it for an empty trie.
  roottype3: 'ROOT_DESCRIPTOR',
  seq: 5,
  'termcount-wrong': 93,
  termcount0: 93,
  trailing: 1,
  unsorted: 3,
  v1abs: 93,
  v2abs: 93,
  'value-longer': 1,
  'value-not-final': 0,
  // The crate, which knows that values have 8 bytes, refuses one of three.
  'value-shorter': 1,
  values: 94,
  version0: 1,
};

describe('files made by hand', () => {
  test('are all listed here', () => {
    expect(trieNames('hand')).toEqual(Object.keys(HAND).toSorted());
  });

  test.each(Object.entries(HAND))('%s: %s', async (name, expected) => {
    const bytes = trieBytes('hand', name);
    if (typeof expected === 'string') {
      await expect(listTerms(bytes)).rejects.toMatchObject({ code: expected, detail: { file: 'memory' } });
      return;
    }
    const lines = await listTerms(bytes);
    expect(lines).toHaveLength(expected);
    expect(lines.toSorted()).toEqual(lines);
    expect((await listTerms(bytes, { reverse: true })).toReversed()).toEqual(lines);
    await withTrie(bytes, async (trie) => {
      for (const line of lines) expect(await trie.lookup(Buffer.from(line.split('\t')[0] ?? '', 'hex'))).toBeDefined();
    });
  });

  test.each(['v1abs', 'v2abs', 'full', 'prefixed', 'dag', 'termcount0'])('%s has the terms of rel', async (name) => {
    expect(await listTerms(trieBytes('hand', name))).toEqual(await listTerms(trieBytes('hand', 'rel')));
  });
});
