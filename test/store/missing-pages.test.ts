import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { compact } from '../../src/transfer/compact.ts';
import { diff } from '../../src/transfer/diff.ts';
import type { UncomparedDamage } from '../../src/transfer/difference.ts';
import { exportNodes } from '../../src/transfer/export.ts';
import { findKeys } from '../../src/transfer/find-keys.ts';
import { stat } from '../../src/view/statistics.ts';
import { damaged } from '../support/damage.ts';
import { withoutDigest } from '../support/spec-digest.ts';
import { makeNodes, text } from '../support/nodes.ts';

/** Three pages with nodes, the last one not full. */
async function threePages(pageFormat: 'v1' | 'v2'): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  await store.appendMany(makeNodes(600, 1000, 1100));
  await store.close();
  expect(file.bytes.length).toBe(4 * BLOCK_BYTES);
  return file.bytes.slice();
}

async function nodesUntilError(store: PageStore): Promise<{ nodes: number; error: unknown }> {
  let nodes = 0;
  try {
    for await (const _ of store.nodes()) nodes++;
  } catch (error) {
    return { nodes, error };
  }
  return { nodes, error: undefined };
}

const losses: Record<string, (good: Uint8Array) => Uint8Array> = {
  'overwritten with zeros': (good) => damaged(good, (copy) => copy.fill(0, fileOffset(2), fileOffset(3))),
  'whose first sector is zeros': (good) => damaged(good, (copy) => copy.fill(0, fileOffset(2), fileOffset(2, 512))),
};

describe.each(['v1', 'v2'] as const)('in a %s file', (format) => {
  describe.each(Object.keys(losses))('with a page %s', async (loss) => {
    const good = await threePages(format);
    const bytes = losses[loss]?.(good) ?? good;
    const source = (): MemoryBlockFile => new MemoryBlockFile(bytes.slice());
    const missing = { code: 'PAGES_DIGEST', message: expect.stringContaining('do not add up to the digest') };

    test.each(['read', 'write'] as const)(
      'nodes and cursor, opened to %s, fail after the last node',
      async (access) => {
        const store = await PageStore.open(source(), { access });
        const { nodes, error } = await nodesUntilError(store);
        expect(error).toMatchObject(missing);
        expect(nodes).toBeGreaterThan(300);
        expect(nodes).toBeLessThan(600);
        const cursor = store.cursor();
        expect(await cursor.nextPage()).toBe(true);
        expect(await cursor.nextPage()).toBe(true);
        await expect(cursor.nextPage()).rejects.toMatchObject(missing);
        expect(await cursor.nextPage()).toBe(false);
      },
    );

    test('findKeys fails if a key is not found, and only then', async () => {
      const store = await PageStore.open(source(), { access: 'read' });
      await expect(findKeys(store, ['no such key'])).rejects.toMatchObject(missing);
      const ref = { block: 1, slot: 0 };
      const [found] = await findKeys(store, [await store.read(ref)]);
      expect(found?.ref).toMatchObject(ref);
    });

    test('export ends without a summary', async () => {
      let lines = '';
      const exported = exportNodes(source());
      await expect(
        (async () => {
          for await (const part of exported) lines += Buffer.from(part).toString();
        })(),
      ).rejects.toMatchObject(missing);
      expect(lines.match(/"type":"page"/gu)).toHaveLength(2);
      expect(lines).not.toContain('"summary"');
    });

    test('stat says so', async () => {
      expect(await stat(source())).toMatchObject({ missing, damagedPages: 0, otherBlocks: 1 });
      expect(await stat(new MemoryBlockFile(good))).not.toHaveProperty('missing');
    });

    test('compact makes no file', async () => {
      const target = new MemoryBlockFile();
      await expect(compact(source(), target)).rejects.toMatchObject(missing);
      expect(await target.size()).toBe(0);
    });

    test.each(['places', 'nodes'] as const)('diff by %s reports damage after the differences', async (compare) => {
      const found: unknown[] = [];
      const onDifference = (difference: unknown): void => void found.push(difference);
      const report = await diff(source(), source(), { compare, onDifference });
      expect(report).toMatchObject({ same: false, differences: { damaged: 2, changed: 0, added: 0 } });
      expect(found as UncomparedDamage[]).toMatchObject([
        { type: 'damaged', file: 'a', ...missing },
        { type: 'damaged', file: 'b', ...missing },
      ]);
      expect(await diff(new MemoryBlockFile(good), new MemoryBlockFile(good), { compare })).toMatchObject({
        same: true,
      });
    });
  });

  test('without a digest, only a block with other bytes after its zeros is an error', async () => {
    const good = withoutDigest(await threePages(format));
    const opened = async (loss: string): Promise<PageStore> =>
      PageStore.open(new MemoryBlockFile(losses[loss]?.(good) ?? good), { access: 'read' });
    expect((await nodesUntilError(await opened('overwritten with zeros'))).error).toBeUndefined();
    const { error } = await nodesUntilError(await opened('whose first sector is zeros'));
    expect(error).toMatchObject({ code: 'BLOCK_UNWRITTEN', detail: { block: 2 } });
  });

  test('without a digest, free blocks are no error, though they keep the bytes of a page', async () => {
    const file = new MemoryBlockFile(await threePages(format));
    const store = await PageStore.open(file);
    await store.free(2);
    await store.close();
    // As another program frees it.
    const bytes = damaged(withoutDigest(file.bytes), (copy) => copy.fill(0xaa, fileOffset(2, 8), fileOffset(2, 512)));
    const { error } = await nodesUntilError(await PageStore.open(new MemoryBlockFile(bytes), { access: 'read' }));
    expect(error).toBeUndefined();
  });

  test('a page that was put back to an older state is noticed', async () => {
    const file = new MemoryBlockFile(await threePages(format));
    const before = file.bytes.slice(fileOffset(3), fileOffset(4));
    const store = await PageStore.open(file);
    await store.append(text('later'));
    await store.close();
    const bytes = damaged(file.bytes, (copy) => copy.set(before, fileOffset(3)));
    const { nodes, error } = await nodesUntilError(
      await PageStore.open(new MemoryBlockFile(bytes), { access: 'read' }),
    );
    expect({ nodes, error }).toMatchObject({ nodes: 600, error: { code: 'PAGES_DIGEST' } });
  });

  test('a damaged digest is an error', async () => {
    const bytes = damaged(await threePages(format), (copy) => (copy[100]! ^= 1)); // inside the file
    const { nodes, error } = await nodesUntilError(
      await PageStore.open(new MemoryBlockFile(bytes), { access: 'read' }),
    );
    expect({ nodes, error }).toMatchObject({ nodes: 600, error: { code: 'PAGES_DIGEST' } });
  });

  test('a header that came back is an error, though the pages that it counts are as they were', async () => {
    const file = new MemoryBlockFile(await threePages(format));
    const sector = file.bytes.slice(0, 512);
    const store = await PageStore.open(file);
    await store.allocate(1);
    await store.append(text('later'));
    await store.close();
    const bytes = damaged(file.bytes, (copy) => copy.set(sector));
    const { nodes, error } = await nodesUntilError(
      await PageStore.open(new MemoryBlockFile(bytes), { access: 'read' }),
    );
    expect({ nodes, error }).toMatchObject({ nodes: 600, error: { code: 'FILE_HEADER_OLD' } });
  });

  test('commits during the scan are no error, of the same store or of another', async () => {
    const file = new MemoryBlockFile(await threePages(format));
    const writer = await PageStore.open(file);
    const reader = await PageStore.open(file, { access: 'read' });
    for (const store of [writer, reader]) {
      const cursor = store.cursor();
      await cursor.nextPage();
      await writer.append(text('meanwhile'));
      await writer.allocate(2);
      await writer.finalize();
      while (await cursor.nextPage())
        await writer.update({ block: 1, slot: 0 }, await writer.read({ block: 1, slot: 0 }));
      const running = nodesUntilError(store);
      for (let n = 0; n < 30; n++) await writer.append(text(`${n}`));
      expect((await running).error).toBeUndefined();
    }
  });

  test('an interrupted finalize is no error', async () => {
    const file = new MemoryBlockFile(await threePages(format));
    const states: Uint8Array[] = [];
    class Recorded extends MemoryBlockFile {
      override async write(source: Uint8Array, position: number): Promise<void> {
        await super.write(source, position);
        states.push(this.bytes.slice());
      }
    }
    const store = await PageStore.open(new Recorded(file.bytes));
    await store.finalize();
    expect(states.length).toBeGreaterThan(4);
    for (const state of states) {
      const { nodes, error } = await nodesUntilError(
        await PageStore.open(new MemoryBlockFile(state), { access: 'read' }),
      );
      expect({ nodes, error }).toEqual({ nodes: 600, error: undefined });
    }
  });
});
