import { setImmediate } from 'node:timers/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { PAGE_FLAG } from '../../src/format/page-header.ts';
import type { PageRef } from '../../src/store/page-ref.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { temporaryFolder } from '../support/files.ts';
import { text } from '../support/nodes.ts';

const folder = temporaryFolder();
const utf8 = new TextDecoder();

/** A file of which each call takes some turns of the event loop. */
class SlowFile extends MemoryBlockFile {
  #calls = 0;

  override async read(target: Uint8Array, position: number): Promise<number> {
    await this.#wait();
    return super.read(target, position);
  }

  override async write(source: Uint8Array, position: number): Promise<void> {
    await this.#wait();
    return super.write(source, position);
  }

  async #wait(): Promise<void> {
    for (let turns = 3 + (this.#calls++ % 5); turns > 0; turns--) await setImmediate();
  }
}

/** Does `change`, and reads over and over until it is done. */
async function readBeside(store: PageStore, ref: PageRef, change: () => Promise<void>): Promise<void> {
  const state = { isDone: false };
  const changing = change().finally(() => (state.isDone = true));
  while (!state.isDone) {
    await store.read(ref).catch((error: unknown) => expect(error).toMatchObject({ code: 'BLOCK_FREE' }));
    await setImmediate();
  }
  await changing;
}

describe.each(['v1', 'v2'] as const)('in a %s file, during reads', (pageFormat) => {
  test.each([
    ['a file', () => join(folder, `${Math.random()}.part`)],
    ['slow memory', () => new SlowFile()],
  ])('an updated node is read as it is now, in %s', async (_, place) => {
    const store = await PageStore.create(place(), { pageFormat });
    const ref = await store.append(text('0000'));
    for (let version = 1; version < 30; version++) {
      const node = String(version).padStart(4, '0');
      await readBeside(store, ref, () => store.update(ref, text(node)));
      expect(utf8.decode(store.tryRead(ref) ?? (await store.read(ref)))).toBe(node);
    }
    await store.close();
  });

  test('a freed block is free', async () => {
    const store = await PageStore.create(new SlowFile(), { pageFormat });
    const ref = await store.append(text('node'));
    await readBeside(store, ref, () => store.free(1));
    expect(store.tryRead(ref)).toBeUndefined();
    await expect(store.read(ref)).rejects.toMatchObject({ code: 'BLOCK_FREE' });
    await store.close();
  });

  test('a finalized page is finalized', async () => {
    const store = await PageStore.create(new SlowFile(), { pageFormat });
    const ref = await store.append(text('node'));
    await readBeside(store, ref, () => store.finalize());
    expect((await store.readPage(1)).header.flags & PAGE_FLAG.finalized).not.toBe(0);
    await store.close();
  });

  test('a page is never read half overwritten', async () => {
    const store = await PageStore.create(new SlowFile(), { pageFormat });
    const ref = await store.append(text('0000'));
    const state = { isDone: false };
    const updating = (async () => {
      for (let version = 1; version < 40; version++) await store.update(ref, text(String(version).padStart(4, '0')));
    })().finally(() => (state.isDone = true));
    let nodes = 0;
    while (!state.isDone) {
      const cursor = store.cursor();
      while (await cursor.nextPage()) while (cursor.next()) nodes++;
    }
    await updating;
    expect(nodes).toBeGreaterThan(0);
    await store.close();
  });
});

describe.each(['v1', 'v2'] as const)('making room in a %s file', (pageFormat) => {
  test.each([1, 2, 17, 40])('%d times for one node allocates no page, and leaves none behind', async (times) => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat });
    await store.append(text('first'));
    for (let time = 0; time < times; time++) expect(await store.makeRoom(10)).toEqual([]);
    store.stage(text('second'));
    expect(await store.commit()).toEqual([{ block: 1, slot: 1, count: 1 }]);
    expect(store.blockCount).toBe(2);
    await store.close();
  });

  test('refuses a node that is too large for every page, and keeps the staged nodes', async () => {
    const store = await PageStore.create(new MemoryBlockFile(), { pageFormat });
    await store.makeRoom(1);
    store.stage(text('a'));
    await expect(store.makeRoom(300_000)).rejects.toMatchObject({ code: 'NODE_TOO_LARGE' });
    expect(store.stagedNodes).toBe(1);
    expect(await store.commit()).toHaveLength(1);
    await store.close();
  });
});
