import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { temporaryFolder, expectSameBytes } from '../support/files.ts';
import { text } from '../support/nodes.ts';
import { specNodes } from '../support/spec-reader.ts';

/** What a program without types may pass. */
const anything = (value: unknown): Uint8Array => value as Uint8Array;

describe('misuse of the library', () => {
  test.each([['a string'], [new Uint16Array([300, 2])], [[1, 2]], [new ArrayBuffer(3)], [undefined], [7]])(
    'a node that is %o instead of bytes is a TypeError, and nothing is stored',
    async (value) => {
      const file = new MemoryBlockFile();
      const store = await PageStore.create(file);
      const ref = await store.append(text('abcd'));
      await expect(store.append(anything(value))).rejects.toThrow(TypeError);
      await expect(store.appendMany([text('x'), anything(value)])).rejects.toThrow(TypeError);
      await expect(store.update(ref, anything(value))).rejects.toThrow(TypeError);
      expect(() => store.stage(anything(value))).toThrow(TypeError);
      expect(specNodes(file.bytes).map((node) => node.bytes.toString())).toEqual(['abcd']);
    },
  );

  test('one Uint8Array is not many nodes', async () => {
    const store = await PageStore.create(new MemoryBlockFile());
    await expect(store.appendMany(text('ab') as unknown as Uint8Array[])).rejects.toThrow(TypeError);
  });

  test('a range outside its bytes is a RangeError, before anything is staged', async () => {
    const store = await PageStore.create(new MemoryBlockFile());
    for (const [start, end] of [
      [2, 1],
      [0, 99],
      [0, 1.5],
      [-1, 2],
      [Number.NaN, 2],
    ] as const) {
      expect(() => store.stage(text('abc'), start, end)).toThrow(RangeError);
    }
    expect(store.stagedNodes).toBe(0);
  });

  test('an invalid block, slot, count or format is a RangeError', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file);
    await store.append(text('a'));
    const before = file.bytes.slice();
    for (const wrong of [1.5, -1, Number.NaN, '1' as unknown as number]) {
      await expect(store.read({ block: wrong, slot: 0 })).rejects.toThrow(RangeError);
      await expect(store.read({ block: 1, slot: wrong })).rejects.toThrow(RangeError);
      await expect(store.readPage(wrong)).rejects.toThrow(RangeError);
      await expect(store.free(wrong)).rejects.toThrow(RangeError);
      await expect(store.allocate(wrong)).rejects.toThrow(RangeError);
    }
    await expect(store.allocate(0)).rejects.toThrow(RangeError);
    await expect(store.allocate(1, 'v3' as 'v1')).rejects.toThrow(RangeError);
    await expect(PageStore.create(new MemoryBlockFile(), { pageFormat: 'v3' as 'v1' })).rejects.toThrow(RangeError);
    expectSameBytes(file.bytes, before);
  });

  test('every call after close fails with FILE_CLOSED', async () => {
    const store = await PageStore.create(join(temporaryFolder(), 'file'));
    await store.append(text('a'));
    await store.close();
    for (let round = 0; round < 2; round++) {
      await expect(store.append(text('b'))).rejects.toMatchObject({ code: 'FILE_CLOSED' });
      await expect(store.read({ block: 1, slot: 0 })).rejects.toMatchObject({ code: 'FILE_CLOSED' });
      await expect(store.allocate(1, 'v1')).rejects.toMatchObject({ code: 'FILE_CLOSED' });
    }
    await store.close();
  });

  test('bytes that change after append was called are stored as they were passed', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file);
    const bytes = text('AAAA');
    const appending = store.append(bytes);
    bytes.fill(66);
    await appending;
    expect(specNodes(file.bytes)[0]!.bytes.toString()).toBe('AAAA');
  });
});
