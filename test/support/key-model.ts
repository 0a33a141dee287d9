// A key arena against a list of keys, with resets, and beside another arena whose keys it refuses.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { KeyArena } from '../../src/arena/key-arena.ts';
import { codeOf } from './error-code.ts';

const SOURCE = Uint8Array.from({ length: 200_000 }, (_, at) => at * 11 + (at >>> 8));

const bytes = fc.oneof(
  { weight: 20, arbitrary: fc.nat(60) },
  { weight: 2, arbitrary: fc.nat(3_000) },
  { weight: 1, arbitrary: fc.constantFrom(65_533, 65_534, 65_535, 70_000, 140_000) },
);
const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      bytes,
      start: fc.nat(10_000),
      times: fc.constantFrom(1, 1, 300),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('text' as const), text: fc.string({ unit: 'grapheme' }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const) }) },
);

interface Kept {
  readonly key: number;
  readonly bytes: Uint8Array;
}

/** Random calls of a KeyArena; each key has its bytes until the reset, and is refused after it and by another arena. */
export const KEY_PROPERTIES: Readonly<Record<string, fc.IProperty<unknown>>> = {
  KeyArena: fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const [arena, other] = [new KeyArena(), new KeyArena()];
    const foreign = other.add(SOURCE, 0, 5);
    let kept: Kept[] = [];
    for (const each of steps) {
      if (each.kind === 'reset') {
        arena.reset();
        for (const { key } of kept.slice(0, 20))
          assert.equal(
            codeOf(() => arena.bytes(key)),
            'STALE_KEY',
          );
        kept = [];
      } else if (each.kind === 'text') {
        kept.push({ key: arena.addText(each.text), bytes: Buffer.from(each.text) });
      } else {
        for (let time = 0; time < each.times; time++) {
          const start = each.start + time;
          const end = Math.min(SOURCE.length, start + each.bytes);
          kept.push({ key: arena.add(SOURCE, start, end), bytes: SOURCE.subarray(start, end) });
        }
      }
      assert.equal(arena.keyCount, kept.length);
      assert.equal(
        codeOf(() => arena.bytes(foreign)),
        'STALE_KEY',
      );
    }
    assert.equal(
      arena.usedBytes,
      kept.reduce((sum, { bytes: { length } }) => sum + length, 0),
    );
    for (const { key, bytes: expected } of kept) {
      assert.equal(Buffer.compare(arena.bytes(key), expected), 0);
      assert.ok(arena.equals(key, expected));
      assert.equal(
        codeOf(() => other.bytes(key)),
        'STALE_KEY',
      );
    }
    for (let at = 1; at < Math.min(kept.length, 50); at++) {
      const [a, b] = [kept[at - 1], kept[at]];
      if (a && b) assert.equal(Math.sign(arena.compare(a.key, b.key)), Buffer.compare(a.bytes, b.bytes));
    }
  }),
};
