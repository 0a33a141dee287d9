import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type EditScript, editsByAnchors, replaceAll, shortestEdits } from '../../src/transfer/edit-script.ts';

/** Expects that the edits are in order, and that without the edited elements both sequences are the same. */
function expectValid(a: Int32Array, b: Int32Array, { edits, aEnd, bEnd }: EditScript): void {
  const removed = edits.filter((edit) => edit >= 0);
  const added = edits.filter((edit) => edit < 0).map((edit) => ~edit);
  expect(removed).toEqual(removed.toSorted((x, y) => x - y));
  expect(added).toEqual(added.toSorted((x, y) => x - y));
  const rest = (sequence: Int32Array, end: number, without: number[]): number[] =>
    [...sequence.subarray(0, end)].filter((_, index) => !without.includes(index));
  expect(rest(a, aEnd, removed)).toEqual(rest(b, bEnd, added));
}

/** Length of the longest common subsequence, by the table of all lengths. */
function commonLength(a: Int32Array, b: Int32Array): number {
  let row = Array.from({ length: b.length + 1 }, () => 0);
  for (const element of a) {
    const next = [0];
    for (let y = 0; y < b.length; y++) next.push(element === b[y] ? row[y]! + 1 : Math.max(row[y + 1]!, next[y]!));
    row = next;
  }
  return row.at(-1)!;
}

const sequence = fc.array(fc.nat(6), { maxLength: 40 }).map((elements) => Int32Array.from(elements));

describe('an edit script', () => {
  test('is the shortest one if both sequences end', () => {
    fc.assert(
      fc.property(sequence, sequence, (a, b) => {
        const script = shortestEdits(a, b, true, 200)!;
        expectValid(a, b, script);
        expect([script.aEnd, script.bEnd]).toEqual([a.length, b.length]);
        expect(script.edits.length).toBe(a.length + b.length - 2 * commonLength(a, b));
      }),
      { numRuns: 300 },
    );
  });

  test('is undefined if it would need too many edits', () => {
    const [a, b] = [Int32Array.of(1, 2, 3, 4), Int32Array.of(5, 6, 7, 8)];
    expect(shortestEdits(a, b, true, 7)).toBeUndefined();
    expect(shortestEdits(a, b, true, 8)?.edits).toHaveLength(8);
  });

  test('ends where sequences that go on are aligned again', () => {
    const b = Int32Array.from({ length: 60 }, (_, index) => index);
    const a = Int32Array.from([...b.subarray(0, 5), 99, ...b.subarray(5)]);
    const script = shortestEdits(a, b, false, 100)!;
    expect(script.edits).toEqual([5]);
    expect(script.aEnd - script.bEnd).toBe(1);
  });

  test('is undefined if sequences that go on have nothing in common', () => {
    expect(shortestEdits(Int32Array.of(1), Int32Array.of(2, 3), false, 10)).toBeUndefined();
  });

  test('by anchors is valid for any sequences that end, and short if few elements differ', () => {
    fc.assert(
      fc.property(sequence, sequence, (a, b) => {
        const script = editsByAnchors(a, b, 7, true);
        if (script) expectValid(a, b, script);
        const onward = editsByAnchors(a, b, 7, false);
        if (onward) expectValid(a, b, onward);
      }),
      { numRuns: 300 },
    );
    const b = Int32Array.from({ length: 1000 }, (_, index) => index);
    const a = b.toReversed().subarray(0, 500).toReversed();
    expect(editsByAnchors(a, b, 1000, true)?.edits).toHaveLength(500);
    expect(editsByAnchors(b, a, 1000, true)?.edits).toHaveLength(500);
  });

  test('by anchors is undefined if no element occurs once in both', () => {
    expect(editsByAnchors(Int32Array.of(1, 1, 2), Int32Array.of(1, 2, 2), 3, true)).toBeUndefined();
  });

  test('that replaces everything is valid', () => {
    expect(replaceAll(2, 1)).toEqual({ edits: [0, 1, ~0], aEnd: 2, bEnd: 1 });
  });
});
