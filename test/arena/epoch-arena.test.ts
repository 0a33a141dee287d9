import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ARENA_BLOCK_BYTES } from '../../src/arena/block-memory.ts';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import { ARENA_PROPERTIES } from '../support/arena-model.ts';

const BLOCK = ARENA_BLOCK_BYTES;
const PATTERN = Uint8Array.from({ length: BLOCK + 512 }, (_, at) => at + (at >>> 8));
const bytesOf = (length: number, seed: number): Uint8Array => PATTERN.subarray(seed, seed + length);

describe('an epoch arena', () => {
  test('does what a plain model does, through three objects of it', () => {
    fc.assert(ARENA_PROPERTIES.EpochArena, { numRuns: 50 });
  });

  test.each([0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 48, 55, 56, 57, 100, 255, 256, 257, 4_096, 4_097, 20_000])(
    'copies %d bytes out of the middle of a source, and not one more',
    (length) => {
      const source = bytesOf(length + 20, 3).map((byte) => byte | 1);
      const arena = new EpochArena({ maxBlocks: 1 });
      for (const copy of [
        () => arena.allocateCopy(source, 5, 5 + length),
        () => arena.allocateKey(source, 5, 5 + length),
        () => arena.tryAllocateCopy(source, 5, 5 + length),
      ]) {
        const before = arena.allocate(1, 1);
        const copied = arena.read(copy());
        expect([...copied]).toEqual([...source.subarray(5, 5 + length)]);
        const after = new Uint8Array(copied.buffer, copied.byteOffset + length, 1);
        expect([arena.read(before)[0], after[0]], 'the bytes around it').toEqual([0, 0]);
      }
    },
  );

  test('allocates without gaps in one thread, also across its thread-local buffers', () => {
    const arena = new EpochArena({ maxBlocks: 2 });
    const count = Math.floor(BLOCK / 48);
    const offsets = Array.from({ length: count }, () => arena.offsetOf(arena.allocate(40, 16)));
    expect(offsets).toEqual(Array.from({ length: count }, (_, at) => at * 48));
    expect(arena.offsetOf(arena.allocate(40, 16))).toBe(BLOCK);
  });

  test('continues in the next block if an allocation would cross into it', () => {
    const arena = new EpochArena({ maxBlocks: 2 });
    arena.allocate(BLOCK - 100);
    expect(arena.offsetOf(arena.allocate(101))).toBe(BLOCK);
    expect(arena.stats().blockCount).toBe(2);
  });

  test('is full when its last block is, and a refused allocation changes nothing', () => {
    const arena = new EpochArena({ maxBlocks: 1 });
    arena.allocate(BLOCK);
    const before = arena.stats();
    expect(arena.tryAllocate(1)).toBe(-1);
    expect(arena.tryAllocate(0)).toBe(-1);
    expect(arena.tryAllocateCopy(new Uint8Array(9_000))).toBe(-1);
    for (const each of [
      () => arena.allocate(1),
      () => arena.allocateCopy(new Uint8Array(1)),
      () => arena.allocateKey(new Uint8Array(1), 0, 1),
    ])
      expect(each).toThrow(expect.objectContaining({ code: 'ARENA_FULL' }));
    expect(arena.stats()).toEqual(before);
  });

  test('reuses all its blocks after a reset', () => {
    const arena = new EpochArena({ maxBlocks: 8 });
    for (let epoch = 1; epoch <= 50; epoch++) {
      arena.reset(epoch);
      for (let block = 0; block < 5; block++) arena.allocate(BLOCK);
      expect(arena.stats()).toEqual({
        epoch,
        allocations: 5,
        usedBytes: 5 * BLOCK,
        totalUsedBytes: 5 * BLOCK,
        blockCount: 5,
        reservedBytes: 5 * BLOCK,
      });
    }
  });

  test('starts anew in every object after another one has reset it, also if epochs differ only above 32 bits', () => {
    const arena = new EpochArena({ epoch: 1 });
    const other = EpochArena.attach(structuredClone(arena.descriptor));
    for (const epoch of [2, 2 ** 32 + 2, 2 ** 33 + 2, 2 ** 52, Number.MAX_SAFE_INTEGER]) {
      arena.allocate(100);
      other.reset(epoch);
      expect(arena.epoch).toBe(epoch);
      expect(arena.offsetOf(arena.allocate(64))).toBe(0);
      expect(other.offsetOf(other.allocate(64))).toBeGreaterThanOrEqual(64);
      expect(arena.stats()).toMatchObject({ epoch, allocations: 2, usedBytes: 128 });
    }
  });

  test('refuses an epoch that is not greater than its own', () => {
    const arena = new EpochArena({ epoch: 7 });
    arena.allocate(10);
    for (const epoch of [7, 6, 0, -1, 7.5, NaN, 2 ** 53]) expect(() => arena.reset(epoch)).toThrow(RangeError);
    expect(arena.stats()).toMatchObject({ epoch: 7, allocations: 1 });
  });

  test('refuses invalid sizes, alignments and sources', () => {
    const arena = new EpochArena({ maxBlocks: 1 });
    for (const bytes of [-1, 0.5, NaN, BLOCK + 1, 2 ** 40, '8' as unknown as number])
      expect(() => arena.allocate(bytes)).toThrow(RangeError);
    for (const alignment of [0, 3, 128, -8, 8.5, NaN]) expect(() => arena.allocate(8, alignment)).toThrow(RangeError);
    const source = new Uint8Array(10);
    for (const [start, end] of [
      [-1, 5],
      [5, 4],
      [0, 11],
      [0.5, 5],
      [0, NaN],
    ] as const) {
      expect(() => arena.allocateCopy(source, start, end)).toThrow(RangeError);
      expect(() => arena.allocateKey(source, start, end)).toThrow(RangeError);
    }
    expect(() => arena.allocateCopy(new Uint8Array(BLOCK + 1))).toThrow(RangeError);
    expect(() => arena.allocateCopy('text' as unknown as Uint8Array)).toThrow(TypeError);
    expect(arena.stats().allocations).toBe(0);
    for (const maxBlocks of [0, -1, 1.5, 1_024, NaN]) expect(() => new EpochArena({ maxBlocks })).toThrow(RangeError);
    for (const epoch of [-1, 0.5, 2 ** 53]) expect(() => new EpochArena({ epoch })).toThrow(RangeError);
    for (const wrong of [new SharedArrayBuffer(8_192), {}, undefined]) {
      for (const name of ['memory', 'handles'])
        expect(() => EpochArena.attach({ ...arena.descriptor, [name]: wrong as SharedArrayBuffer })).toThrow(TypeError);
    }
  });
});
