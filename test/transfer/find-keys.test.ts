import { describe, expect, test, vi } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { encodeFileHeader, FILE_HEADER } from '../../src/format/file-header.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { findKeys } from '../../src/transfer/find-keys.ts';
import { csvImported } from '../support/csv.ts';
import { GOLDEN_NAMES, goldenBytes, goldenNodes } from '../support/files.ts';

const openBytes = async (bytes: Uint8Array): Promise<PageStore> =>
  PageStore.open(new MemoryBlockFile(bytes), { access: 'read' });

/** `u16 key length, key, value`, written by hand. */
const node = (key: string, value: string, length = Buffer.byteLength(key)): Buffer =>
  Buffer.concat([Buffer.from([length & 255, length >> 8]), Buffer.from(key), Buffer.from(value)]);

async function storeOf(...nodes: Uint8Array[]): Promise<PageStore> {
  const store = await PageStore.create(new MemoryBlockFile());
  await store.appendMany(nodes);
  return store;
}

/** What was found for each key: the ref and the value. */
async function found(store: PageStore, ...keys: (string | Uint8Array)[]): Promise<(string | undefined)[]> {
  const results: (string | undefined)[] = [];
  for (const each of await findKeys(store, keys))
    results.push(
      each && `${String(each.ref)} ${Buffer.from(await store.read(each.ref)).toString('utf8', each.valueOffset)}`,
    );
  return results;
}

describe('findKeys', () => {
  test.each(['v1', 'v2'] as const)('finds the cells of a CSV file in %s pages', async (pageFormat) => {
    const rows = Array.from({ length: 9000 }, (_, at) => `${at},name of ${at}\n`).join('');
    const { bytes, report } = await csvImported(`id,name\n${rows}`, { table: 'users', pageFormat });
    expect(report.pages).toBeGreaterThan(1);
    const store = await openBytes(bytes);
    const results = await found(
      store,
      'users/9000/name',
      'users/1/id',
      Buffer.from('users/4711/name'),
      'users/9001/id',
    );
    expect(results.map((each) => each?.replace(/^\d+:\d+ /, ''))).toEqual([
      'name of 8999',
      '0',
      'name of 4710',
      undefined,
    ]);
    expect(results[1]).toBe('1:0 0');
  });

  test('returns the first node with a key, for a key that is asked twice both times', async () => {
    const store = await storeOf(node('a', 'first'), node('b', ''), node('a', 'second'));
    expect(await found(store, 'a', 'b', 'a', 'c')).toEqual(['1:0 first', '1:1 ', '1:0 first', undefined]);
    expect(await found(store)).toEqual([]);
  });

  test('takes a node that is the key for one without a value', async () => {
    const store = await storeOf(Buffer.from('t/1/a'), Buffer.from('t/1/ab'), Buffer.from(''), Buffer.from('x'));
    expect(await found(store, 't/1/ab', 't/1/a', 'x', 't/1')).toEqual(['1:1 ', '1:0 ', '1:3 ', undefined]);
  });

  test('finds no key where the length is another one, or leads out of the node', async () => {
    const store = await storeOf(node('key', '', 2), node('key', '', 4), node('key', '', 65_535), node('key', 'x', 4));
    expect(await found(store, 'key', 'ke', 'keyx')).toEqual([undefined, '1:0 y', '1:3 ']);
  });

  test('finds an empty key, and one of 65,535 bytes; none is longer', async () => {
    const long = 'k'.repeat(65_535);
    const store = await storeOf(node('', 'value'), node(long, 'of the long one'));
    expect(await found(store, '', long, `${long}k`)).toEqual(['1:0 value', '1:1 of the long one', undefined]);
  });

  test('reads the pages until all keys are found, and reports each', async () => {
    const rows = Array.from({ length: 40_000 }, (_, at) => `${at}\n`).join('');
    const store = await openBytes((await csvImported(`id\n${rows}`)).bytes);
    const searched: number[] = [];
    const onProgress = (block: number, count: number): void => void searched.push(block, count);
    await findKeys(store, ['t/1/id'], { onProgress });
    expect(searched).toEqual([]);
    await findKeys(store, ['t/1/id', 'none'], { onProgress });
    expect(searched).toEqual(
      Array.from({ length: store.blockCount - 1 }, (_, at) => [at + 1, store.blockCount]).flat(),
    );
  });

  test.each(GOLDEN_NAMES)('searches the file %s of another program', async (name) => {
    // Nodes that are empty, or begin with a length of 0, have the empty key.
    const first = goldenNodes(name).find(({ hex }) => hex === '' || hex.startsWith('0000'));
    const [none, empty] = await found(await openBytes(goldenBytes(name)), 'none', '');
    expect([none, empty?.split(' ')[0]]).toEqual([undefined, first?.ref]);
  });

  test('stops for its signal and for a damaged page', async () => {
    const { bytes } = await csvImported('a\n1\n');
    const signal = AbortSignal.abort(new Error('on purpose'));
    await expect(findKeys(await openBytes(bytes), ['x'], { signal })).rejects.toThrow('on purpose');
    bytes[262_144 + 70]! ^= 1;
    await expect(findKeys(await openBytes(bytes), ['x'])).rejects.toMatchObject({ code: 'PAGE_CHECKSUM' });
  });

  test('stops for its signal before blocks that are skipped', async () => {
    const { bytes } = await csvImported('a\n1\n');
    const longer = new Uint8Array(fileOffset(20));
    longer.set(bytes);
    longer.set(encodeFileHeader({ ...FILE_HEADER.read(bytes), blockCount: 20 }));
    const file = new MemoryBlockFile(longer);
    const read = vi.spyOn(file, 'read');
    const abort = new AbortController();
    const store = await PageStore.open(file, { access: 'read' });
    const found = findKeys(store, ['x'], {
      onProgress: () => abort.abort(new Error('on purpose')),
      signal: abort.signal,
    });
    await expect(found).rejects.toThrow('on purpose');
    expect(read.mock.calls.filter(([, position]) => position >= fileOffset(2))).toEqual([]);
  });

  test('refuses keys that are neither text nor bytes, and unknown options', async () => {
    const store = await storeOf();
    await expect(findKeys(store, [7 as never])).rejects.toThrow(
      'findKeys: each of keys must be a string or a Uint8Array',
    );
    await expect(findKeys(store, ['\ud800'])).rejects.toThrow(TypeError);
    await expect(findKeys(store, ['a'], { progress: 1 } as never)).rejects.toThrow("unknown option 'progress'");
  });
});
