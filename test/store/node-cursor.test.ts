import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { nodesOf } from '../../src/format/page.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { GOLDEN_NAMES, goldenBytes, goldenNodes, goldenPath } from '../support/files.ts';
import { hexOf, text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';

/** What a cursor goes over: ref and bytes. */
async function walk(store: PageStore): Promise<string[]> {
  const cursor = store.cursor();
  const found: string[] = [];
  while (await cursor.nextPage()) {
    while (cursor.next()) {
      const node = cursor.bytes.subarray(cursor.start, cursor.end);
      found.push(`${cursor.block}:${cursor.slot} ${hexOf(node)}`);
    }
  }
  expect(cursor.next()).toBe(false);
  expect(await cursor.nextPage()).toBe(false);
  return found;
}

describe('a cursor', () => {
  test.each(GOLDEN_NAMES)('iterates over the nodes that another program wrote: %s', async (name) => {
    const store = await PageStore.open(goldenPath(name), { access: 'read' });
    const expected = goldenNodes(name).map(({ ref, hex }) => `${ref} ${hex}`);
    expect(await walk(store)).toEqual(expected);
    const listed: string[] = [];
    for await (const { page } of store.pages()) for (const node of nodesOf(page)) listed.push(hexOf(node));
    expect(listed).toEqual(expected.map((line) => line.slice(line.indexOf(' ') + 1)));
    for (const line of expected.slice(0, 50)) {
      const [ref = '', hex] = line.split(' ');
      const [block = 0, slot = 0] = ref.split(':').map(Number);
      expect(hexOf(await store.view({ block, slot }))).toBe(hex);
    }
    await store.close();
  });

  test('stays at the last node of a page, and skips pages without nodes and free blocks', async () => {
    const file = new RecordingBlockFile();
    const store = await PageStore.create(file);
    await store.append(text('a'));
    await store.allocate(3, 'v2');
    await store.free(3);
    await store.appendMany([text('b'), text('c')]);
    const cursor = store.cursor();
    const blocks: number[] = [];
    while (await cursor.nextPage()) {
      blocks.push(cursor.block);
      const before = cursor.slot;
      while (cursor.next());
      expect(cursor.next()).toBe(false);
      expect(cursor.slot).toBeGreaterThanOrEqual(before);
    }
    expect(blocks).not.toContain(3);
    expect(blocks).toContain(2);
    expect((await walk(store)).map((line) => line.split(' ')[1])).toEqual(expect.arrayContaining(['61', '62', '63']));
    await store.close();
  });

  test('throws the same at a damaged page as reading it', async () => {
    const bytes = new Uint8Array(goldenBytes('v1'));
    bytes[BLOCK_BYTES + 8]! ^= 1; // the version of the page, which is there
    const store = await PageStore.open(new RecordingBlockFile(bytes), { access: 'read' });
    await expect(walk(store)).rejects.toMatchObject({ code: 'PAGE_VERSION' });
    await store.close();
  });
});
