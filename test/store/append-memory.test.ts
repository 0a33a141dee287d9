import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test, vi } from 'vitest';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import type { PageRef } from '../../src/store/page-ref.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function isCollected(memory: WeakRef<ArrayBufferLike>): Promise<boolean> {
  for (let round = 0; round < 10 && memory.deref() !== undefined; round++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collectGarbage();
  }
  return memory.deref() === undefined;
}

const node = (number: number): Buffer => Buffer.alloc(100_000, number);

test('nodes that arrive while a batch is packed and committed do not change those of the batch', async () => {
  const file = new RecordingBlockFile();
  const store = await PageStore.create(file);
  const refs: Promise<PageRef>[] = [];
  let late = 0;
  // More than a batch, so that it is committed while nodes of it are still to be packed; and at each sync more come.
  file.failOn = (step) => {
    if (step.kind === 'sync' && late < 40)
      for (const end = late + 10; late < end; late++) refs.push(append(100 + late));
    return undefined;
  };
  const append = (number: number): Promise<PageRef> => {
    const bytes = node(number);
    const ref = store.append(bytes);
    bytes.fill(0xee);
    return ref;
  };
  for (let number = 0; number < 35; number++) refs.push(append(number));
  for (let index = 0; index < refs.length; index++) {
    const number = index < 35 ? index : 100 + index - 35;
    const found = Buffer.from(await store.read(await refs[index]!));
    expect({ index, same: found.equals(node(number)) }).toEqual({ index, same: true });
  }
  expect(late).toBe(40);
});

test('the store frees the memory of nodes once they are durable', async () => {
  const store = await PageStore.create(new MemoryBlockFile());
  const stageAll = async (): Promise<WeakRef<ArrayBufferLike>> => {
    const source = new Uint8Array(1_500_000);
    for (let at = 0; at + 40 <= source.length; at += 40) {
      while (!store.stage(source, at, at + 40)) await store.makeRoom(40);
    }
    await store.commit();
    return new WeakRef(source.buffer);
  };
  const appendPart = async (): Promise<WeakRef<ArrayBufferLike>> => {
    const source = new Uint8Array(1_500_000);
    await store.append(source.subarray(0, 40));
    await store.append(source.subarray(40, 80));
    return new WeakRef(source.buffer);
  };
  const appendHandles = async (): Promise<WeakRef<ArrayBufferLike>> => {
    const arena = new EpochArena({ maxBlocks: 1 });
    const handles = Array.from({ length: 1_000 }, (_, at) => arena.allocateCopy(new Uint8Array(at)));
    await store.appendFrom(arena, handles);
    store.stageFrom(arena, handles, 0, store.stageFrom(arena, handles, 0, 600));
    store.stage(arena, handles[0]!);
    await store.commit();
    return new WeakRef(arena.descriptor.memory);
  };
  for (const appending of [stageAll, appendPart, appendHandles])
    expect(await isCollected(await appending())).toBe(true);
});

test('a closed store keeps nothing of the epochs of append', async () => {
  const store = await PageStore.create(new MemoryBlockFile());
  const memories: WeakRef<ArrayBufferLike>[] = [];
  const { tryAllocate } = EpochArena.prototype; // oxlint-disable-line typescript/unbound-method -- called with its own this
  const spy = vi.spyOn(EpochArena.prototype, 'tryAllocate').mockImplementation(function (this: EpochArena, bytes) {
    memories.push(new WeakRef(this.descriptor.memory));
    return tryAllocate.call(this, bytes);
  });
  for (let number = 0; number < 4; number++) await store.append(node(number));
  spy.mockRestore();
  await store.close();
  expect(memories.length).toBeGreaterThan(1);
  for (const memory of memories) expect(await isCollected(memory)).toBe(true);
  expect(store.blockCount).toBe(3);
});
