import { describe, expect, test } from 'vitest';
import { create, open } from '../../src/store/page-store.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { PageStoreError } from '../../src/errors.ts';
import { openTrie, type TermsOptions } from '../../src/trie/trie.ts';
import { artRecord, listTerms, realTerms, trieBytes, trieOf, withTrie } from '../support/tries.ts';

describe('a range of terms', () => {
  const bytes = trieBytes('real', 'bytes');
  const all = realTerms('bytes');
  const terms = all.map((line) => Buffer.from(line.split('\t')[0] ?? '', 'hex'));

  const expectedOf = ({ prefix, from, to }: TermsOptions): string[] =>
    all.filter((_, at) => {
      const term = terms[at] ?? Buffer.alloc(0);
      return (
        (prefix === undefined || term.subarray(0, prefix.length).equals(prefix)) &&
        (from === undefined || Buffer.compare(term, from) >= 0) &&
        (to === undefined || Buffer.compare(term, to) < 0)
      );
    });

  const bounds = [undefined, ...terms, ...terms.map((term) => Buffer.concat([term, Buffer.of(0x7f)]))];

  test('with any two terms, or bytes between terms, as bounds has what is between them', async () => {
    for (const from of bounds) {
      for (const to of bounds) {
        const options = { from, to };
        expect(await listTerms(bytes, options)).toEqual(expectedOf(options));
        expect(await listTerms(bytes, { ...options, reverse: true })).toEqual(expectedOf(options).toReversed());
      }
    }
  });

  test('with a prefix has the terms that begin with it, also together with bounds', async () => {
    for (const prefix of [...bounds, Buffer.of(0xff), Buffer.of(0xff, 0xff), Buffer.of(0)]) {
      for (const other of bounds) {
        for (const options of [
          { prefix, from: other },
          { prefix, to: other },
        ]) {
          expect(await listTerms(bytes, options)).toEqual(expectedOf(options));
        }
      }
    }
  });

  test('follows prefixes of nodes', async () => {
    const file = trieBytes('real', 'chains');
    const lines = realTerms('chains');
    for (const line of lines) {
      const term = Buffer.from(line.split('\t')[0] ?? '', 'hex');
      expect((await listTerms(file, { from: term }))[0]).toBe(line);
      expect((await listTerms(file, { to: term })).length).toBe(lines.indexOf(line));
      expect(await listTerms(file, { prefix: term.subarray(0, term.length - 1) })).toContain(line);
    }
  });

  test('takes bytes and true or false only', async () => {
    await withTrie(bytes, async (trie) => {
      const refused = [{ prefix: 'a' }, { from: 1 }, { to: [] }, { reverse: 1 }, { limit: 1 }];
      for (const options of refused)
        await expect(trie.terms(options as unknown as TermsOptions).next()).rejects.toThrow(TypeError);
      await expect(trie.lookup('a' as unknown as Uint8Array)).rejects.toThrow(TypeError);
    });
    await expect(openTrie({} as never)).rejects.toThrow(TypeError);
  });
});

describe('a damaged trie', () => {
  const leaf = artRecord({ isFinal: true });

  test('with a cycle ends in an error that names a node of it, after the terms before it', async () => {
    const bytes = await trieOf([
      leaf,
      artRecord({ isFinal: true, children: { b: 2 } }),
      artRecord({ children: { a: 0, c: 1 } }),
    ]);
    const found: string[] = [];
    const walk = withTrie(bytes, async (trie) => {
      for await (const { term } of trie.terms()) found.push(Buffer.from(term).toString());
    });
    await expect(walk).rejects.toMatchObject({ code: 'TRIE_CYCLE', detail: { block: 1, slot: 2 } });
    expect(found).toEqual(['a', 'c']);
    await withTrie(bytes, async (trie) => {
      expect(await trie.lookup(Buffer.from('cbcbcbc'))).toBeDefined();
      expect(await trie.lookup(Buffer.from('cbcbcbb'))).toBeUndefined();
    });
  });

  test('of shared nodes without a term ends, although no path has a cycle', async () => {
    const records = [artRecord({})];
    for (let slot = 0; slot < 60; slot++) records.push(artRecord({ children: { a: slot, b: slot } }));
    await expect(listTerms(await trieOf(records))).rejects.toMatchObject({ code: 'TRIE_CYCLE' });
  });

  test('with a child that is not there names the place of the child, and the node that points to it', async () => {
    const bytes = await trieOf([artRecord({ children: { a: 7 } })]);
    await expect(listTerms(bytes)).rejects.toMatchObject({ code: 'TRIE_POINTER', detail: { block: 1, slot: 7 } });
    await expect(listTerms(bytes)).rejects.toThrow('the trie record at 1:0 points to 1:7');
  });

  test('whose root is not a record is TRIE_NODE', async () => {
    for (const record of [Buffer.from('no record'), Buffer.alloc(0), Buffer.from('ART\0')])
      await expect(listTerms(await trieOf([record]))).rejects.toMatchObject({
        code: 'TRIE_NODE',
        detail: { file: 'memory', block: 1, slot: 0 },
      });
  });

  test('that has a child twice for a key is TRIE_NODE', async () => {
    const record = artRecord({ children: { a: 0, b: 0 } });
    record[17] = record[16] as number;
    await expect(listTerms(await trieOf([leaf, record]))).rejects.toMatchObject({ code: 'TRIE_NODE' });
  });

  test('of a chain of 5,000 nodes is walked', async () => {
    const records = [leaf];
    for (let slot = 0; slot < 5000; slot++) records.push(artRecord({ prefix: 'p', children: { a: slot } }));
    const lines = await listTerms(await trieOf(records));
    expect(lines).toEqual([`${'7061'.repeat(5000)}\t-`]);
  });

  test.each([
    ['real', 'five'],
    ['real', 'values-mixed'],
    ['real', 'fanout17'],
    ['hand', 'v1abs'],
    ['hand', 'childbuckets'],
  ] as const)('each flipped bit of %s/%s gives terms in order, or an error with a code', async (folder, name) => {
    const bytes = trieBytes(folder, name);
    const page = new DataView(bytes.buffer, 262_144);
    const nodesEnd = Math.min(page.getUint32(16, true), 64 + 1000);
    const offsets = [16, 17, 18, 19, 20, 21, 22, 23];
    for (let at = 64; at < 82; at++) offsets.push(at);
    for (let at = 64; at < nodesEnd; at++) offsets.push(262_144 + at);
    let refused = 0;
    for (const offset of offsets) {
      for (let bit = 0; bit < 8; bit++) {
        bytes[offset]! ^= 1 << bit;
        try {
          const lines = await listTerms(bytes, {}, 10_000);
          const keys = lines.map((line) => line.split('\t')[0] ?? '');
          expect({ offset, bit, keys: keys.toSorted() }).toEqual({ offset, bit, keys });
          expect(lines.length).toBeLessThan(10_000);
        } catch (error) {
          if (!(error instanceof PageStoreError)) throw error;
          refused++;
        }
        bytes[offset]! ^= 1 << bit;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });
});

test('a page file without a trie is NO_TRIE', async () => {
  const file = new MemoryBlockFile();
  await (await create(file)).close();
  await using store = await open(file, { access: 'read' });
  await expect(openTrie(store)).rejects.toMatchObject({ code: 'NO_TRIE' });
});

test('a store that keeps one page walks a trie of several', async () => {
  await using store = await open(new MemoryBlockFile(trieBytes('real', 'evicted')), { access: 'read', cacheBytes: 1 });
  const trie = await openTrie(store);
  let terms = 0;
  for await (const _ of trie.terms({ prefix: undefined })) terms++;
  expect(terms).toBe(realTerms('evicted').length);
});
