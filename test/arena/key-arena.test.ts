import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeyArena } from '../../src/arena/key-arena.ts';
import { makeNodes, text } from '../support/nodes.ts';

const stale: unknown = expect.objectContaining({ name: 'PageStoreError', code: 'STALE_KEY' });
const foreign: unknown = expect.objectContaining({
  code: 'STALE_KEY',
  message: expect.stringContaining('a key of another arena') as string,
});
const filled = (length: number, byte = 7): Uint8Array => new Uint8Array(length).fill(byte);

describe('a key arena', () => {
  test('returns each key, its length and its order', () => {
    const arena = new KeyArena();
    expect([arena.chunkCount, arena.reservedBytes, arena.usedBytes, arena.keyCount]).toEqual([0, 0, 0, 0]);
    const source = text('--abc--');
    const [abc, empty, abd] = [arena.add(source, 2, 5), arena.add(source, 3, 3), arena.add(text('ab\u00ff'))];
    expect(Buffer.from(arena.bytes(abc)).toString()).toBe('abc');
    expect([arena.length(abc), arena.length(empty), arena.bytes(empty).length]).toEqual([3, 0, 0]);
    expect([arena.equals(abc, source, 2, 5), arena.equals(abc, source, 2, 4), arena.equals(abc, source, 1, 4)]).toEqual(
      [true, false, false],
    );
    expect([
      arena.compare(abc, abd),
      arena.compare(abd, abc),
      arena.compare(abc, abc),
      arena.compare(empty, abc),
    ]).toEqual([-1, 1, 0, -1]);
    expect([arena.chunkCount, arena.reservedBytes, arena.usedBytes, arena.keyCount]).toEqual([1, 65_536, 7, 3]);
  });

  test.each([0, 1, 7, 8, 9, 15, 16, 47, 48, 49, 65_533, 65_534, 65_535, 65_536, 262_072])(
    'holds keys of %d bytes',
    (length) => {
      const arena = new KeyArena();
      const bytes = Uint8Array.from({ length: length + 2 }, (_, at) => at * 7);
      const keys = [arena.add(text('before')), arena.add(bytes, 1, 1 + length), arena.add(bytes, 1, 1 + length)];
      keys.push(arena.add(text('latest')));
      expect(keys.map((key) => arena.length(key))).toEqual([6, length, length, 6]);
      expect(Buffer.compare(arena.bytes(keys[2]!), bytes.subarray(1, 1 + length))).toBe(0);
      expect(arena.equals(keys[1]!, arena.bytes(keys[2]!))).toBe(true);
    },
  );

  test('fills a chunk to its last byte, with two bytes of overhead a key', () => {
    const arena = new KeyArena();
    for (let key = 0; key < 1024; key++) arena.add(filled(62));
    expect([arena.chunkCount, arena.usedBytes]).toEqual([1, 1024 * 62]);
    arena.add(filled(0));
    expect(arena.chunkCount).toBe(2);
  });

  test('after a reset refuses earlier keys, and never returns bytes of others for them', () => {
    const arena = new KeyArena();
    const old = [arena.add(text('first')), arena.add(filled(100_000))];
    arena.reset();
    const key = arena.add(text('other'));
    for (const each of old) {
      for (const use of [
        () => arena.bytes(each),
        () => arena.length(each),
        () => arena.equals(each, text('other')),
        () => arena.compare(key, each),
      ])
        expect(use).toThrow(stale);
    }
    expect(Buffer.from(arena.bytes(key)).toString()).toBe('other');
    expect([arena.keyCount, arena.usedBytes]).toEqual([1, 5]);
  });

  test('never reuses a number', () => {
    const arena = new KeyArena();
    const seen = new Set<number>();
    for (let round = 0; round < 50; round++) {
      for (const length of [0, 10, 70_000, 3, 60_000, 9000]) seen.add(arena.add(filled(length)));
      arena.reset();
      arena.reset();
    }
    expect(seen.size).toBe(300);
  });

  test.each(['0', undefined, null, 0n])('what is no number is no key: %s', (key) => {
    const arena = new KeyArena();
    arena.add(text('key 0'));
    expect(() => arena.bytes(key as never)).toThrow('key must be a key of this arena, a number');
  });

  test.each([-1, 0.5, NaN, Infinity, 2 ** 53])('%s was never a key', (key) => {
    const arena = new KeyArena();
    for (let round = 0; round < 2; round++) {
      expect(() => arena.bytes(key)).toThrow(RangeError);
      expect(() => arena.length(key)).toThrow(RangeError);
      arena.add(text('key 0'));
    }
  });

  test.each([1, 2, 0.5, 65_535, 65_536, 131_072, 2 ** 32, 2 ** 32 + 65_536])(
    'the first key plus %d is no key yet',
    (distance) => {
      for (const arena of [new KeyArena(), new KeyArena(0), new KeyArena(2 ** 44)]) {
        const key = arena.add(text('key 0'));
        expect(() => arena.bytes(key + distance)).toThrow(RangeError);
        expect(() => arena.length(key + distance)).toThrow(RangeError);
      }
    },
  );

  test('with a first key numbers from it, and refuses keys below it as those of another arena', () => {
    const arena = new KeyArena(1000);
    expect(() => arena.bytes(999)).toThrow(foreign);
    expect(arena.add(text('a'))).toBe(1000);
    expect(() => arena.bytes(999)).toThrow(foreign);
    for (const first of [-1, 0.5, 2 ** 53]) expect(() => new KeyArena(first)).toThrow(RangeError);
  });

  test('refuses the keys of other arenas, where it would have a key of its own', () => {
    const arenas = Array.from({ length: 100 }, () => new KeyArena());
    const keys = arenas.map((arena, at) => arena.add(text(`arena ${at}`)));
    expect(new Set(keys).size).toBe(100);
    for (const [at, arena] of arenas.entries()) {
      for (const [of, key] of keys.entries()) {
        if (at === of) expect(arena.text(key)).toBe(`arena ${at}`);
        else expect(() => arena.bytes(key)).toThrow(foreign);
      }
      const own = keys[at]!;
      for (const use of [
        () => arena.compare(own, keys[(at + 1) % 100]!),
        () => arena.compare(keys[(at + 1) % 100]!, own),
        () => arena.equals(keys[(at + 1) % 100]!, text('arena')),
        () => arena.length(keys[(at + 1) % 100]!),
        () => arena.text(keys[(at + 1) % 100]!),
      ])
        expect(use).toThrow(foreign);
    }
  });

  test('without a key refuses keys of others, also of one that was made with a first key of 0', () => {
    const [empty, chosen] = [new KeyArena(), new KeyArena(0)];
    const key = chosen.add(text('a'));
    expect(() => empty.bytes(key)).toThrow(foreign);
    expect(() => chosen.bytes(new KeyArena().add(text('b')))).toThrow();
  });

  test('takes new numbers when its own are used up: none of another arena, and none twice', () => {
    const [arena, neighbor] = [new KeyArena(), new KeyArena()];
    const source = filled(33_000);
    // Each key has a chunk of its own, and a chunk has 65,536 numbers.
    const addRound = (): number[] => Array.from({ length: 64 }, () => arena.add(source));
    const first = arena.add(text('first'));
    const other = neighbor.add(text('other'));
    const rangeOf = (key: number): number => Math.floor(key / 2 ** 32);
    const seen = new Set([rangeOf(first)]);
    let last = first;
    for (let round = 0; round < 2200; round++) {
      arena.reset();
      const keys = addRound();
      expect(keys.at(-1)! - keys[0]!).toBe(63 * 65_536);
      if (keys[0]! <= last) expect(seen).not.toContain(rangeOf(keys[0]!));
      for (const key of keys) seen.add(rangeOf(key));
      last = keys.at(-1)!;
    }
    expect(seen.size).toBeGreaterThan(2);
    expect(seen).not.toContain(rangeOf(other));
    expect(() => arena.bytes(first)).toThrow(stale);
    expect(() => arena.bytes(other)).toThrow(foreign);
    expect(() => neighbor.bytes(last)).toThrow(foreign);
    expect([arena.length(last), neighbor.text(other)]).toEqual([33_000, 'other']);
  });

  test('is full at 2^53, and keeps its keys', () => {
    const arena = new KeyArena(Number.MAX_SAFE_INTEGER - 65_536);
    const key = arena.add(filled(65_000));
    expect(() => arena.add(filled(65_000))).toThrow(expect.objectContaining({ code: 'ARENA_FULL' }) as Error);
    expect(arena.length(key)).toBe(65_000);
    expect(arena.add(text('fits the chunk'))).toBe(key + 1);
    arena.reset();
    expect(() => arena.add(text('a'))).toThrow(expect.objectContaining({ code: 'ARENA_FULL' }) as Error);
  });

  test('after a reset takes a key that is larger than the next chunk', () => {
    const arena = new KeyArena();
    for (let each = 0; each < 3; each++) arena.add(filled(60_000));
    arena.reset();
    const keys = [1, 200_000, 5, 70_000].map((length) => arena.add(filled(length, length)));
    expect(keys.map((key) => arena.length(key))).toEqual([1, 200_000, 5, 70_000]);
    expect(keys.every((key, at) => arena.equals(key, filled(arena.length(key), [1, 200_000, 5, 70_000][at])))).toBe(
      true,
    );
  });

  test('reuses all its chunks: a thousand rounds of the same keys take as much memory as the first', () => {
    const arena = new KeyArena();
    const keys = [...makeNodes(300, 0, 900), ...[70_000, 66_000, 262_072, 65_535, 130_000].map((each) => filled(each))];
    const shuffled = keys.map((_, at) => keys[(at * 97) % keys.length]!);
    for (const key of shuffled) arena.add(key);
    const [chunkCount, reservedBytes] = [arena.chunkCount, arena.reservedBytes];
    expect(chunkCount).toBeGreaterThan(6);
    for (let round = 0; round < 1000; round++) {
      arena.reset();
      for (const key of shuffled) arena.add(key);
    }
    expect([arena.chunkCount, arena.reservedBytes]).toEqual([chunkCount, reservedBytes]);
  });

  test('copies from shared memory, from Buffers and from itself', () => {
    const arena = new KeyArena();
    const shared = new Uint8Array(new SharedArrayBuffer(300), 10, 200).fill(5);
    expect(arena.equals(arena.add(shared), filled(200, 5))).toBe(true);
    expect(arena.equals(arena.add(shared, 0, 20), filled(20, 5))).toBe(true);
    const key = arena.add(Buffer.from('buffer'));
    expect(arena.equals(arena.add(arena.bytes(key)), text('buffer'))).toBe(true);
  });

  test('takes text and returns it, as UTF-8', () => {
    const arena = new KeyArena();
    const texts = ['', 'abc', 'größe', '\ufeffmarked', '鍵/😀', 'x'.repeat(65_534), 'é'.repeat(50_000), 'after'];
    const keys = texts.map((each) => arena.addText(each));
    expect(keys.map((key) => arena.text(key))).toEqual(texts);
    expect(keys.map((key) => arena.length(key))).toEqual(texts.map((each) => Buffer.byteLength(each)));
    expect(keys.every((key, at) => arena.equals(key, text(texts[at]!)))).toBe(true);
    expect(arena.text(arena.add(Uint8Array.of(0x61, 0xff, 0x62)))).toBe('a\ufffdb');
    for (const wrong of ['\ud800', 'a\udc00', '\ud83dx']) expect(() => arena.addText(wrong)).toThrow(TypeError);
    expect(() => arena.addText(text('bytes') as never)).toThrow(TypeError);
    expect(arena.keyCount).toBe(texts.length + 1);
  });

  test('refuses invalid ranges, and adds nothing', () => {
    const arena = new KeyArena();
    const bytes = filled(4);
    expect(() => arena.add(bytes, 0, 5)).toThrow(RangeError);
    expect(() => arena.add(bytes, -1, 2)).toThrow(RangeError);
    expect(() => arena.add(bytes, 3, 2)).toThrow(RangeError);
    expect(() => arena.add(bytes, 0.5, 2)).toThrow(RangeError);
    expect(() => arena.add('text' as never)).toThrow(TypeError);
    expect(() => arena.equals(arena.add(bytes), bytes, 0, 9)).toThrow(RangeError);
    expect(arena.keyCount).toBe(1);
  });

  test('behaves in any sequence of calls as a list of keys does', () => {
    const step = fc.oneof(
      { weight: 12, arbitrary: fc.uint8Array({ maxLength: 60 }) },
      { weight: 4, arbitrary: fc.nat(140_000).map((length) => filled(length, length)) },
      { weight: 1, arbitrary: fc.constant('reset' as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const arena = new KeyArena();
        const model: { key: number; bytes: Uint8Array; generation: number }[] = [];
        let generation = 0;
        for (const step of steps) {
          if (step === 'reset') {
            arena.reset();
            generation++;
          } else model.push({ key: arena.add(step), bytes: step, generation });
        }
        expect(new Set(model.map(({ key }) => key)).size).toBe(model.length);
        const live = model.filter((each) => each.generation === generation);
        expect(arena.keyCount).toBe(live.length);
        expect(arena.usedBytes).toBe(live.reduce((sum, { bytes }) => sum + bytes.length, 0));
        for (const each of model) {
          if (each.generation !== generation) expect(() => arena.bytes(each.key)).toThrow(stale);
          else expect(Buffer.compare(arena.bytes(each.key), each.bytes)).toBe(0);
        }
        for (const [at, a] of live.entries()) {
          const b = live[(at * 7 + 1) % live.length]!;
          expect(arena.compare(a.key, b.key)).toBe(Buffer.compare(a.bytes, b.bytes));
        }
      }),
      { numRuns: 100 },
    );
  });
});
