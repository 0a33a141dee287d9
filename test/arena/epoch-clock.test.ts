import { afterEach, expect, test, vi } from 'vitest';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import { EpochClock } from '../../src/arena/epoch-clock.ts';

afterEach(() => vi.restoreAllMocks());

/** Runs `between` once, right before the next atomic store. */
function beforeNextStore(between: () => void): void {
  const store = Atomics.store.bind(Atomics);
  const spy = vi.spyOn(Atomics, 'store').mockImplementation((...args: Parameters<typeof Atomics.store>) => {
    spy.mockRestore();
    between();
    return store(...args);
  });
}

test('a pin that comes too late, after its epoch was recycled, moves to the current epoch', () => {
  const clock = EpochClock.create(0, 4);
  const arena = new EpochArena({ epoch: 0, maxBlocks: 1 });
  const other = EpochClock.attach(clock.memory, clock.pins.memory);
  clock.pins.claim();
  beforeNextStore(() => other.advance(1, 0, arena));
  expect(clock.pin()).toBe(1);
  expect(() => other.advance(2, 1, arena)).toThrow(expect.objectContaining({ code: 'EPOCH_PINNED' }));
  expect(clock.epoch).toBe(1);
  clock.unpin();
  other.advance(2, 1, arena);
  expect(clock.epoch).toBe(2);
});
