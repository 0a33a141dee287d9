import { expect, test } from 'vitest';
import { KeyArena } from '../../src/arena/key-arena.ts';
import { create, open } from '../../src/store/page-store.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BatchKeyGenerator } from '../../src/arena/key-buffer.ts';

async function stored(file: MemoryBlockFile): Promise<string[]> {
  const store = await open(file, { access: 'read' });
  const texts: string[] = [];
  for await (const { bytes } of store.nodes()) texts.push(Buffer.from(bytes).toString());
  return texts;
}

test.each(['v1', 'v2'] as const)(
  'keys of a key arena become nodes of a %s file, in the order of the list',
  async (pageFormat) => {
    const arena = new KeyArena();
    const keys = new BatchKeyGenerator('users');
    const rows = Array.from({ length: 30_000 }, (_, row) => arena.add(keys.columnKey(row, 'name')));
    const long = arena.addText('k'.repeat(70_000));
    const picked = [...rows.toReversed(), long, rows[7] ?? -1, arena.addText('')];
    const file = new MemoryBlockFile();
    const store = await create(file, { pageFormat });
    const runs = await store.appendFrom(arena, picked);
    expect(runs.reduce((sum, { count }) => sum + count, 0)).toBe(picked.length);
    expect(await stored(file)).toEqual(picked.map((key) => arena.text(key)));
  },
);

test('a key of another arena, or from before a reset, is refused, and nothing is stored', async () => {
  const [arena, other] = [new KeyArena(), new KeyArena()];
  const keys = [arena.addText('a'), arena.addText('b')];
  const file = new MemoryBlockFile();
  const store = await create(file);
  await expect(store.appendFrom(arena, [...keys, other.addText('c')])).rejects.toMatchObject({ code: 'STALE_KEY' });
  expect(() => store.stage(other, keys[0] ?? -1)).toThrow(expect.objectContaining({ code: 'STALE_KEY' }));
  arena.reset();
  await expect(store.appendFrom(arena, keys)).rejects.toMatchObject({ code: 'STALE_KEY' });
  await expect(store.appendFrom(arena, ['a'] as never)).rejects.toThrow(TypeError);
  expect(store.stagedNodes).toBe(0);
  expect(await stored(file)).toEqual([]);
});
