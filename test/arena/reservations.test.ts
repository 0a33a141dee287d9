import { describe, expect, test } from 'vitest';
import { ConcurrentArena } from '../../src/arena/concurrent-arena.ts';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import { type ClaimRun, USABLE_ENTRIES } from '../../src/arena/handle-table.ts';
import { codeOf } from '../support/error-code.ts';

const SMALL = { blockBytes: 65_536, maxBlocks: 4 };

/** A writer of either kind, and the claims that it has taken. */
const WRITERS = {
  EpochArena: () => {
    const arena = new EpochArena(SMALL);
    return { arena, writer: arena, taken: (): Iterable<ClaimRun> => arena.takeClaims() };
  },
  ArenaShard: () => {
    const arena = new ConcurrentArena(2, SMALL);
    const writer = arena.shard();
    return { arena, writer, taken: (): Iterable<ClaimRun> => arena.claimsOf(writer.index, writer.takeClaims()) };
  },
} as const;

function bytesOf(runs: Iterable<ClaimRun>): Buffer[] {
  const all: Buffer[] = [];
  for (const { source, base, words, at, end, bytes } of runs) {
    let total = 0;
    for (let next = at; next < end; next += 2) {
      const start = words[next]! - base;
      all.push(Buffer.from(source.subarray(start, start + words[next + 1]!)));
      expect(all.at(-1)!.length, 'the array has all of it').toBe(words[next + 1]);
      total += words[next + 1]!;
    }
    expect(total).toBe(bytes);
  }
  return all;
}

describe.each(Object.entries(WRITERS))('a reservation of %s', (_, make) => {
  test('is claimed in ascending parts, with gaps, of any length', () => {
    const { arena, writer } = make();
    const bytes = writer.reserve(100);
    bytes.forEach((_byte, at) => (bytes[at] = at));
    const handles = [writer.claim(0, 10), writer.claim(10, 10), writer.claim(12, 20), writer.claim(99, 100)];
    expect(handles.map((handle) => [...arena.read(handle)])).toEqual([
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      [],
      [12, 13, 14, 15, 16, 17, 18, 19],
      [99],
    ]);
    expect(writer.claim(100, 100)).toBe(handles[3]! + 1);
    expect(arena.stats()).toMatchObject({ allocations: 5, usedBytes: 19, totalUsedBytes: 19 });
  });

  test('refuses ranges that are not in it, overlap or go back, and changes nothing then', () => {
    const { arena, writer } = make();
    expect(
      codeOf(() => writer.claim(0, 0)),
      'without a reservation',
    ).toBe('RangeError');
    writer.reserve(100);
    writer.claim(10, 20);
    const before = arena.stats();
    for (const [start, end] of [
      [0, 5],
      [19, 30],
      [25, 24],
      [20, 101],
      [101, 101],
      [-1, 5],
      [20.5, 22],
      [NaN, 30],
      [20, NaN],
      ['20', 30],
      [20, undefined],
      [2 ** 40, 2 ** 40],
    ])
      expect(
        codeOf(() => writer.claim(start as number, end as number)),
        `${start}, ${end}`,
      ).toBe('RangeError');
    expect(arena.stats()).toEqual(before);
    expect(arena.lengthOf(writer.claim(20, 100))).toBe(80);
  });

  test('ends with the next one, and with a reset, after which claims are stale', () => {
    const { arena, writer } = make();
    writer.reserve(100);
    const second = writer.reserve(50);
    expect(codeOf(() => writer.claim(0, 51))).toBe('RangeError');
    second.fill(7);
    expect([...arena.read(writer.claim(0, 2))]).toEqual([7, 7]);
    for (const epoch of [arena.epoch + 1, arena.epoch + 2 ** 32, arena.epoch + 2 ** 32 + 2 ** 17]) {
      arena.reset(epoch);
      expect(codeOf(() => writer.claim(2, 4))).toBe('STALE_EPOCH');
      writer.allocate(8);
      expect(
        codeOf(() => writer.claim(2, 4)),
        'also once the object has allocated',
      ).toBe('STALE_EPOCH');
      expect(arena.stats().allocations).toBe(1);
      writer.reserve(10);
      expect(arena.lengthOf(writer.claim(2, 4))).toBe(2);
    }
  });

  test('may be of no bytes, of a block, and of several', () => {
    const { arena, writer } = make();
    writer.reserve(0);
    expect(arena.lengthOf(writer.claim(0, 0))).toBe(0);
    expect(codeOf(() => writer.claim(0, 1))).toBe('RangeError');
    const blocks = writer.reserve(2 * 65_536);
    blocks.forEach((_byte, at) => (blocks[at] = at % 251));
    const handles = [writer.claim(1, 65_000), writer.claim(65_000, 66_000), writer.claim(70_000, 131_072)];
    const parts = [blocks.subarray(1, 65_000), blocks.subarray(65_000, 66_000), blocks.subarray(70_000)];
    expect(handles.map((handle, at) => Buffer.compare(arena.read(handle), parts[at]!))).toEqual([0, 0, 0]);
    expect(arena.lengthOf(writer.claim(131_072, 131_072))).toBe(0);
    expect(codeOf(() => writer.reserve(5 * 65_536))).toBe('RangeError');
    const before = arena.stats();
    expect(codeOf(() => writer.reserve(3 * 65_536))).toBe('ARENA_FULL');
    expect(arena.stats()).toEqual(before);
  });

  test('with more claims than a thread reserves at once, mixed with allocations, gives exactly those to be taken, in order', () => {
    const { arena, writer, taken } = make();
    const claims: Buffer[] = [];
    const handles: [number, Buffer][] = [];
    for (let round = 0; round < 3; round++) {
      const bytes = writer.reserve(12_000);
      bytes.forEach((_byte, at) => (bytes[at] = at * 7 + round));
      for (let number = 0; number < 5_000; number++) {
        const start = 2 * number;
        const node = Buffer.from(bytes.slice(start, start + (number % 3)));
        if (number % 1_000 < 600) writer.claimNext(start, start + node.length);
        else handles.push([writer.claim(start, start + node.length), node]);
        // What has a handle is not remembered: it would take memory for each.
        if (number % 1_000 < 600) claims.push(node);
        if (number % 700 === 0) handles.push([writer.allocateCopy(Uint8Array.of(round, 1)), Buffer.of(round, 1)]);
      }
      // Taken now and then: what is taken is not returned again.
      if (round === 1) expect(bytesOf(taken())).toEqual(claims.splice(0));
    }
    expect(bytesOf(taken())).toEqual(claims.splice(0));
    expect(bytesOf(taken())).toEqual([]);
    for (const [handle, node] of handles) expect(Buffer.compare(arena.read(handle), node)).toBe(0);
    expect(arena.stats().allocations).toBe(3 * 5_000 + 3 * 8);
  });

  test('gives claims in arrays that contain them, also across blocks and at the end of the last one', () => {
    const { writer, taken } = make();
    for (const bytes of [3 * 65_536 - 64, 65_536]) {
      const reserved = writer.reserve(bytes);
      reserved.forEach((_byte, at) => (reserved[at] = at % 253));
      const expected: Buffer[] = [];
      for (let start = 0; start <= bytes; start += 30_000) {
        const end = Math.min(bytes, start + 30_000);
        writer.claimNext(start, end);
        expected.push(Buffer.from(reserved.subarray(start, end)));
      }
      writer.claimNext(bytes, bytes);
      expect(bytesOf(taken())).toEqual([...expected, Buffer.of()]);
      writer.claimNext(bytes, bytes);
      expect(bytesOf(taken())).toEqual([Buffer.of()]);
    }
  });

  test('takes as many claims as there may be allocations, and then is full without losing one', () => {
    const arena = new EpochArena({ ...SMALL, maxAllocations: 2 * USABLE_ENTRIES - 5 });
    const bytes = arena.reserve(10_000).fill(3);
    const handles: number[] = [];
    expect(
      codeOf(() => {
        for (let at = 0; ; at++) handles.push(arena.claim(at, at + 1));
      }),
    ).toBe('ARENA_FULL');
    expect(handles.length).toBe(2 * USABLE_ENTRIES);
    expect(arena.stats()).toMatchObject({ allocations: handles.length, usedBytes: handles.length });
    for (const handle of handles) expect(arena.read(handle)[0]).toBe(bytes[0]);
    arena.reset(1);
    arena.reserve(10);
    expect(arena.lengthOf(arena.claim(0, 10))).toBe(10);
  });
});

test('a reservation cannot be claimed once the shard is released', () => {
  const arena = new ConcurrentArena(1, SMALL);
  const shard = arena.shard();
  shard.reserve(100);
  shard.claim(0, 10);
  arena.release();
  expect(codeOf(() => shard.claim(10, 20))).toBe('SHARDS_TAKEN');
  expect(codeOf(() => shard.reserve(10))).toBe('SHARDS_TAKEN');
  expect(arena.stats().allocations).toBe(1);
});
