import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JOURNAL_BYTES, journalKind } from '../../src/format/journal.ts';
import { decodePatchJournal, encodePatchJournal, isBeforeOrAfter, MAX_PATCH_BYTES } from '../../src/format/journal.ts';
import { UNDO_HEADER } from '../../src/format/journal.ts';

/** A journal written by hand according to docs/format.md: one patch of two bytes at byte 262,144. */
function journalByHand(): Buffer {
  const patch = Buffer.alloc(16);
  patch.writeBigUInt64LE(262_144n, 0);
  patch.writeUInt16LE(2, 8);
  patch.writeUInt16LE(5, 10);
  patch.set([1, 2, 3, 4], 12);
  const header = Buffer.alloc(20);
  header.write('APJP', 'latin1');
  header.writeUInt32LE(1, 4);
  header.writeUInt32LE(1, 8);
  header.writeUInt32LE(crc32(patch), 12);
  header.writeUInt32LE(crc32(header.subarray(0, 16)), 16);
  return Buffer.concat([header, patch]);
}

const PATCH = { position: 262_144, kind: 5, before: new Uint8Array([1, 2]), after: new Uint8Array([3, 4]) };

describe('a journal of patches', () => {
  test('is read and written in the documented format', () => {
    const journal = journalByHand();
    const [patch] = decodePatchJournal(journal) ?? [];
    expect(patch && { ...patch, before: [...patch.before], after: [...patch.after] }).toEqual({
      ...PATCH,
      before: [1, 2],
      after: [3, 4],
    });
    expect(Buffer.from(encodePatchJournal([PATCH])).equals(journal)).toBe(true);
  });

  test('is not decoded if any bit is flipped or any byte is missing', () => {
    const journal = journalByHand();
    for (let bit = 0; bit < 8 * journal.length; bit++) {
      const spoilt = Buffer.from(journal);
      spoilt[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodePatchJournal(spoilt)).toBeUndefined();
    }
    for (let length = 0; length < journal.length; length++) {
      expect(decodePatchJournal(journal.subarray(0, length))).toBeUndefined();
    }
    expect(decodePatchJournal(Buffer.concat([journal, Buffer.alloc(1)]))).toBeUndefined();
  });

  test('refuses more patches than fit in a journal', () => {
    const [before, after] = [new Uint8Array(MAX_PATCH_BYTES), new Uint8Array(MAX_PATCH_BYTES)];
    const patches = Array.from({ length: 300 }, (_, at) => ({ position: 512 * at, kind: 0, before, after }));
    expect(() => encodePatchJournal(patches)).toThrow(RangeError);
    expect(encodePatchJournal(patches.slice(0, 250)).length).toBeLessThanOrEqual(JOURNAL_BYTES);
  });

  test('returns the patches that were encoded', () => {
    const some = fc.uint8Array({ minLength: 1, maxLength: 40 });
    const patch = fc.tuple(fc.nat(), fc.nat({ max: 65_535 }), some).map(([position, kind, before]) => {
      return { position, kind, before, after: before.map((byte) => byte ^ 0x55) };
    });
    fc.assert(
      fc.property(fc.array(patch, { minLength: 1 }), (patches) => {
        const read = decodePatchJournal(encodePatchJournal(patches)) ?? [];
        const plain = (each: typeof read): unknown =>
          each.map(({ position, kind, before, after }) => [position, kind, [...before], [...after]]);
        expect(plain(read)).toEqual(plain(patches));
      }),
      { numRuns: 50 },
    );
  });
});

test.each(['APJL', 'APJP'])('a file that begins with %s is a journal, of a known version or a newer one', (magic) => {
  const begin = (version: number): Buffer => Buffer.concat([Buffer.from(magic), Buffer.from([version, 0, 0, 0, 9])]);
  expect(journalKind(begin(1))).toBe('known');
  for (const version of [0, 2, 3, 255]) expect(journalKind(begin(version))).toBe('newer');
  for (let bytes = 0; bytes < 8; bytes++) expect(journalKind(begin(1).subarray(0, bytes))).toBe('known');
  expect(journalKind(begin(2).subarray(0, 5))).toBe('newer');
  expect(journalKind(Buffer.from(`${magic.toLowerCase()} is no journal`))).toBe('none');
  expect(journalKind(Buffer.concat([Buffer.alloc(512), begin(2)]))).toBe('known');
  expect(journalKind(Buffer.concat([Buffer.alloc(511), begin(2)]))).toBe('none');
});

test('a patch recognizes its old bytes, its new ones and a mixture of them', () => {
  for (const [now, known] of [
    [[1, 2], true],
    [[3, 4], true],
    [[1, 4], true],
    [[1, 5], false],
    [[1], false],
  ] as const) {
    expect(isBeforeOrAfter(PATCH, new Uint8Array(now))).toBe(known);
  }
});

test('the header of an undo file is not decoded with any bit flipped', () => {
  const header = UNDO_HEADER.encode({ fileBytes: 524_288n, stateCrc: 1, patchCount: 2, bytesCrc: 3 });
  expect(UNDO_HEADER.decode(header)).toMatchObject({ fileBytes: 524_288n, stateCrc: 1, patchCount: 2, bytesCrc: 3 });
  for (let bit = 0; bit < 8 * header.length; bit++) {
    const spoilt = header.slice();
    spoilt[bit >> 3]! ^= 1 << (bit & 7);
    expect(UNDO_HEADER.decode(spoilt)).toBeUndefined();
  }
});
