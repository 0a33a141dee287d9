import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import {
  ARENA_BLOCK_BYTES,
  ArenaPool,
  BatchKeyGenerator,
  ConcurrentArena,
  EpochArena,
  InternedTablePrefix,
  KeyArena,
  KeyBuffer,
  KeyHandle,
  KeyMap,
  WorkerArena,
} from '../../src/arena.ts';
import { text } from '../support/nodes.ts';

const BYTES = Uint8Array.of(1, 2, 3);
const show = (value: unknown): string => inspect(value, { breakLength: Infinity });

test('keys are shown as text', () => {
  expect(show(new InternedTablePrefix('users'))).toBe("InternedTablePrefix { prefix: 'users/' }");
  expect(show(new BatchKeyGenerator('größe'))).toBe("BatchKeyGenerator { prefix: 'größe/' }");
  expect(show(new KeyBuffer().setRowKey('users', 42))).toBe("KeyBuffer { key: 'users/42', remaining: 55 }");
  expect(show(KeyHandle.of(text('größe/1')))).toBe("KeyHandle { key: 'größe/1', length: 9 }");
  expect(show(KeyHandle.of(Uint8Array.of(0x61, 0xff, 0)))).toBe("KeyHandle { key: 'a�\\x00', length: 3 }");
  expect(show(KeyHandle.of(text('x'.repeat(65))))).toBe(`KeyHandle { key: '${'x'.repeat(64)}…', length: 65 }`);
});

test('collections of keys are shown by their counts', () => {
  const arena = new KeyArena();
  arena.add(BYTES);
  arena.add(BYTES);
  expect(show(arena)).toBe('KeyArena { keyCount: 2, usedBytes: 6, chunkCount: 1, reservedBytes: 65536 }');
  const map = new KeyMap<number>();
  map.set(BYTES, 0, 3, 1);
  expect(show(map)).toBe(`KeyMap { size: 1, usedBytes: 3, reservedBytes: ${map.reservedBytes} }`);
});

test('arenas are shown by their epochs and counts', () => {
  const blocks = `blockCount: 1, reservedBytes: ${ARENA_BLOCK_BYTES}`;
  const arena = new EpochArena({ epoch: 7 });
  arena.allocateCopy(BYTES);
  expect(show(arena)).toBe(`EpochArena { epoch: 7, allocations: 1, usedBytes: 3, totalUsedBytes: 3, ${blocks} }`);

  const pool = new ArenaPool(2);
  const writer = new WorkerArena(pool);
  expect(show(writer)).toContain('WorkerArena { epoch: -1, isPinned: false, pool: ');
  writer.allocateCopy(BYTES);
  const shownPool = `ArenaPool { size: 2, epoch: 0, allocations: 1, usedBytes: 3, totalUsedBytes: 3, ${blocks} }`;
  expect(show(pool)).toBe(shownPool);
  expect(show(writer)).toBe(`WorkerArena { epoch: 0, isPinned: true, pool: ${shownPool} }`);
  writer.release();
  expect(show(writer)).toContain('isPinned: false');

  const concurrent = new ConcurrentArena(2);
  concurrent.allocateCopy(BYTES);
  const counts = `allocations: 1, usedBytes: 3, totalUsedBytes: 3, ${blocks}`;
  expect(show(concurrent)).toBe(`ConcurrentArena { shardCount: 2, epoch: 0, ${counts} }`);
  expect(show(concurrent.shard())).toBe(`ArenaShard { index: 0, owner: 0, ${counts} }`);
});

test('an object within others is shown in the same way', () => {
  expect(show({ deep: { key: KeyHandle.of(text('k')) } })).toBe("{ deep: { key: KeyHandle { key: 'k', length: 1 } } }");
  expect(show([new KeyBuffer()])).toBe("[ KeyBuffer { key: '', remaining: 63 } ]");
});
