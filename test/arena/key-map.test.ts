import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { KeyHandle } from '../../src/arena/key-arena.ts';
import { type KeyHash, KeyMap } from '../../src/arena/key-map.ts';
import { makeNodes, text } from '../support/nodes.ts';

/** All keys collide, in all 64 bits. */
const sameHash: KeyHash = (_source, _start, _end, into) => {
  into.high = 5;
  into.low = -7;
};
/** Keys of the same length collide. */
const lengthHash: KeyHash = (_source, start, end, into) => {
  into.high = 0;
  into.low = end - start;
};
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const numbered = (number: number): Uint8Array => text(`key number ${number}`);

describe('a key map', () => {
  test('numbers its entries in insertion order', () => {
    const map = new KeyMap<string>();
    const source = text('--abc--');
    expect([map.size, map.reservedBytes, map.get(source), map.find(source), map.has(source)]).toEqual([
      0,
      0,
      undefined,
      -1,
      false,
    ]);
    expect([map.entryOf(source, 2, 5), map.entryOf(source), map.entryOf(text('abc')), map.size]).toEqual([0, 1, 0, 2]);
    expect(map.valueAt(0)).toBe(undefined);
    map.setValueAt(0, 'value');
    expect([map.get(text('abc')), map.valueAt(0), map.get(source), map.get(source, 0, 3)]).toEqual([
      'value',
      'value',
      undefined,
      undefined,
    ]);
    expect(map.set(source, 0, 0, 'of the empty key')).toBe(map);
    expect([map.get(new Uint8Array(0)), map.find(new Uint8Array(0)), map.usedBytes]).toEqual([
      'of the empty key',
      2,
      10,
    ]);
    expect([...map].map(([key, value]) => [latin1(key), value])).toEqual([
      ['abc', 'value'],
      ['--abc--', undefined],
      ['', 'of the empty key'],
    ]);
  });

  test('owns its keys', () => {
    const map = new KeyMap<number>();
    const key = text('abc');
    map.set(key, 0, 3, 1);
    key.fill(0);
    expect([map.get(text('abc')), map.get(key), latin1(map.keyAt(0))]).toEqual([1, undefined, 'abc']);
  });

  test.each([0, 1, 1023, 1024, 1025, 4096, 65_537, 262_072, 1_048_577])('holds keys of %d bytes', (length) => {
    const map = new KeyMap<number>();
    const keys = Array.from({ length: 3 }, (_, at) => new Uint8Array(length + 1).fill(at));
    for (const key of keys) map.entryOf(key);
    expect(keys.map((key) => map.find(key))).toEqual([0, 1, 2]);
    for (const [at, key] of keys.entries()) expect(Buffer.compare(map.keyAt(at), key)).toBe(0);
    expect(map.has(keys[0]!, 0, length)).toBe(false);
  });

  test('keeps numbers, keys and values as it grows', () => {
    const map = new KeyMap<number>();
    const views: Uint8Array[] = [];
    for (let at = 0; at < 20_000; at++) {
      const entry = map.entryOf(numbered(at));
      expect(entry).toBe(at);
      map.setValueAt(entry, -at);
      if (at % 1000 === 0) views.push(map.keyAt(at));
    }
    for (let at = 0; at < 20_000; at++) {
      if (map.find(numbered(at)) !== at || map.valueAt(at) !== -at) expect.unreachable(`key ${at}`);
      if (map.has(numbered(at + 20_000))) expect.unreachable(`no key ${at + 20_000}`);
    }
    expect(views.map(latin1)).toEqual(views.map((_, at) => `key number ${at * 1000}`));
  });

  test.each([
    ['in all of its bits', sameHash],
    ['by length', lengthHash],
  ])('tells keys apart whose hashes are equal %s', (_, hash) => {
    const map = new KeyMap<number>(hash);
    for (let at = 0; at < 500; at++) expect(map.set(numbered(at), 0, numbered(at).length, at).size).toBe(at + 1);
    for (let at = 0; at < 500; at++) expect(map.get(numbered(at))).toBe(at);
    expect(map.has(numbered(500))).toBe(false);
    expect(map.getHandle(KeyHandle.of(numbered(77)))).toBe(77);
    expect(map.hasHandle(KeyHandle.of(numbered(500)))).toBe(false);
  });

  test('finds the key of a handle', () => {
    const map = new KeyMap<number>();
    expect(map.getHandle(KeyHandle.of(text('a')))).toBe(undefined);
    for (const [at, key] of makeNodes(300, 0, 60).entries()) map.set(key, 0, key.length, at);
    for (const key of makeNodes(300, 0, 60)) {
      expect(map.findHandle(KeyHandle.of(key))).toBe(map.find(key));
      expect(map.getHandle(KeyHandle.of(key))).toBe(map.get(key));
    }
    expect(map.hasHandle(KeyHandle.of(text('absent')))).toBe(false);
  });

  test('starts anew after it was cleared, and frees its memory', () => {
    const map = new KeyMap<number>();
    for (let at = 0; at < 100; at++) map.set(numbered(at), 0, 12, at);
    const key = map.keyAt(0);
    map.clear();
    expect([map.size, map.usedBytes, map.reservedBytes, map.find(numbered(1))]).toEqual([0, 0, 0, -1]);
    expect([map.entryOf(text('new')), map.valueAt(0), latin1(key)]).toEqual([0, undefined, 'key number 0']);
  });

  test('ends an iteration that is running if it is cleared', () => {
    const map = new KeyMap<number>();
    for (let at = 0; at < 3; at++) map.entryOf(numbered(at));
    const seen: string[] = [];
    for (const [key] of map) {
      seen.push(latin1(key));
      map.clear();
      map.entryOf(text('other'));
    }
    expect(seen).toEqual(['key number 0']);
  });

  test('takes at most 32 bytes a key, apart from its bytes and value', () => {
    const map = new KeyMap<number>();
    const key = Buffer.alloc(28);
    // Worst just after the table has doubled.
    for (let at = 0; at <= 98_304; at++) {
      key.writeUInt32LE(at, 10);
      map.entryOf(key);
      if (at === 98_303 || at === 98_304 || at === 60_000) {
        expect((map.reservedBytes - map.usedBytes) / map.size).toBeLessThanOrEqual(32);
      }
    }
    expect(map.size).toBe(98_305);
  });

  test('refuses invalid entries and ranges', () => {
    const map = new KeyMap<number>();
    map.entryOf(text('a'));
    for (const entry of [1, -1, 0.5, NaN]) {
      expect(() => map.valueAt(entry)).toThrow(RangeError);
      expect(() => map.setValueAt(entry, 1)).toThrow(RangeError);
      expect(() => map.keyAt(entry)).toThrow(RangeError);
    }
    expect(() => map.entryOf(text('abc'), 0, 4)).toThrow(RangeError);
    expect(() => map.find(text('abc'), 2, 1)).toThrow(RangeError);
    expect(() => map.get('abc' as never)).toThrow(TypeError);
    expect(map.size).toBe(1);
  });

  test('behaves in any sequence of calls as a Map of strings does', () => {
    const key = fc.array(fc.constantFrom(0, 1, 255), { maxLength: 4 }).map((each) => Uint8Array.from(each));
    const step = fc.oneof(
      { weight: 10, arbitrary: fc.tuple(fc.constant('set' as const), key, fc.nat()) },
      { weight: 10, arbitrary: fc.tuple(fc.constant('entry' as const), key, fc.nat()) },
      { weight: 10, arbitrary: fc.tuple(fc.constant('get' as const), key, fc.nat()) },
      { weight: 1, arbitrary: fc.tuple(fc.constant('clear' as const), key, fc.nat()) },
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120, size: 'max' }),
        fc.constantFrom(undefined, sameHash, lengthHash),
        (steps, hash) => {
          const map = hash === undefined ? new KeyMap<number>() : new KeyMap<number>(hash);
          const model = new Map<string, number | undefined>();
          for (const [kind, bytes, value] of steps) {
            const name = latin1(bytes);
            if (kind === 'set') {
              map.set(bytes, 0, bytes.length, value);
              model.set(name, value);
            } else if (kind === 'entry') {
              if (!model.has(name)) model.set(name, undefined);
              expect(map.entryOf(bytes)).toBe([...model.keys()].indexOf(name));
            } else if (kind === 'clear') {
              map.clear();
              model.clear();
            }
            expect([map.get(bytes), map.has(bytes), map.size]).toEqual([model.get(name), model.has(name), model.size]);
          }
          expect([...map].map(([key, value]) => [latin1(key), value])).toEqual([...model]);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('if no memory is available, a key map', () => {
  const own = { Uint8Array: globalThis.Uint8Array, Int32Array: globalThis.Int32Array };
  afterEach(() => Object.assign(globalThis, own));

  test.each([0, 1, 2, 3])('is unchanged and works later: allocation %d fails', (failing) => {
    // 768 entries fill a table of 1,024 slots, and 1,024 a page of records; both grow, and keys need chunks.
    for (const count of [0, 768, 1023, 1024, 3072]) {
      const map = new KeyMap<number>();
      for (let at = 0; at < count; at++) map.set(numbered(at), 0, numbered(at).length, at);
      const long = text('x'.repeat(5000));
      let allocations = 0;
      const refusing = <T extends object>(target: T): T =>
        new Proxy(target, {
          construct(target, args, newTarget) {
            if (typeof args[0] === 'number' && allocations++ === failing)
              throw new RangeError('Array buffer allocation failed');
            return Reflect.construct(target as unknown as new () => object, args, newTarget as never) as object;
          },
        });
      globalThis.Uint8Array = refusing(own.Uint8Array);
      globalThis.Int32Array = refusing(own.Int32Array);
      let error: unknown;
      try {
        map.entryOf(long);
      } catch (caught) {
        error = caught;
      }
      Object.assign(globalThis, own);
      expect(error instanceof RangeError).toBe(allocations > failing);
      if (failing === 0) expect(error).toBeInstanceOf(RangeError);
      if (error !== undefined) expect([map.size, map.find(long)]).toEqual([count, -1]);
      for (let at = 0; at < count; at++) if (map.get(numbered(at)) !== at) expect.unreachable(`key ${at} of ${count}`);
      expect(map.entryOf(long)).toBe(count);
      expect(map.entryOf(text('next'))).toBe(count + 1);
      expect(map.find(long)).toBe(count);
    }
  });
});
