import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SlotDirectory } from '../../src/format/slots.ts';
import { newPageHeader } from '../../src/format/page-header.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET } from '../../src/format/layout.ts';
import { V1Directory } from '../../src/format/v1-page.ts';
import { DirectoryScratch, V2Directory } from '../../src/format/v2-directory.ts';

interface Slot {
  entry: number;
  offset: number;
  bytes: number;
}

const U32_MAX = 0xffff_ffff;

/** A varint of 1 to 9 bytes, whether or not a shorter one has the same value. */
const varint = fc.oneof(
  { weight: 4, arbitrary: fc.nat(247).map((byte) => [byte]) },
  {
    weight: 6,
    arbitrary: fc
      .integer({ min: 1, max: 8 })
      .chain((more) =>
        fc.array(fc.nat(255), { minLength: more, maxLength: more }).map((bytes) => [247 + more, ...bytes]),
      ),
  },
);

const scratch = new DirectoryScratch();

test('a V2 directory decodes varints of all sizes, up to the end of the block', () => {
  fc.assert(
    fc.property(fc.array(varint, { maxLength: 60 }), fc.nat(70), fc.nat(12), (varints, nodeCount, cutBytes) => {
      const stream = varints.flat();
      // The last pair is cut off by the end of the block, or ends with it.
      const start = BLOCK_BYTES - Math.max(0, stream.length - cutBytes);
      const block = new Uint8Array(BLOCK_BYTES);
      block.set(stream.slice(0, BLOCK_BYTES - start), start);
      const expected = slotsIn(block, start, nodeCount);
      const directory = new V2Directory(block, headerOf(nodeCount, start), scratch);
      expect(slotsOf(directory)).toEqual(expected.slots);
      expect(directory.end).toBe(expected.end);
      expectScan(directory, expected.slots);
    }),
    { numRuns: 1000 },
  );
});

test('a scan finds the first node outside and whether all are in order, like a check of each slot', () => {
  const anySlot = fc.tuple(fc.nat(3000), fc.nat(300));
  const slots = fc.array(fc.oneof({ weight: 9, arbitrary: anySlot }, fc.constant([0, 0] as [number, number])), {
    maxLength: 40,
  });
  const inOrder = fc.array(fc.tuple(fc.nat(2), fc.nat(400)), { maxLength: 40 }).map((steps) => {
    let end = NODE_AREA_OFFSET;
    return steps.map(([gap, bytes]): [number, number] => {
      const offset = end + gap;
      end = offset + bytes;
      return [offset, bytes];
    });
  });
  fc.assert(
    fc.property(fc.oneof(slots, inOrder), (pairs) => {
      const block = new Uint8Array(BLOCK_BYTES);
      const view = new DataView(block.buffer);
      for (const [slot, [offset, bytes]] of pairs.entries()) {
        view.setUint32(BLOCK_BYTES - 8 * (slot + 1), offset, true);
        view.setUint32(BLOCK_BYTES - 8 * slot - 4, bytes, true);
      }
      const directory = new V1Directory(block, headerOf(pairs.length, BLOCK_BYTES - 8 * pairs.length));
      expectScan(directory, slotsOf(directory));
      const words = pairs.flatMap(([offset, bytes]) => [wide(offset), wide(bytes)]).flat();
      block.set(words, 100_000);
      const v2 = new V2Directory(block, headerOf(pairs.length, 100_000), scratch);
      expect(slotsOf(v2).map(({ offset, bytes }) => [offset, bytes])).toEqual(pairs);
      expectScan(v2, slotsOf(v2));
    }),
    { numRuns: 500 },
  );
});

function headerOf(nodeCount: number, directoryStart: number): ReturnType<typeof newPageHeader> {
  return { ...newPageHeader('v2'), nodeCount, directoryStart };
}

/** A number below 2^24 as a varint of three or four bytes. */
function wide(value: number): number[] {
  return value < 65_536 ? [249, value & 255, value >> 8] : [250, value & 255, (value >> 8) & 255, value >> 16];
}

function slotsOf(directory: SlotDirectory): Slot[] {
  return Array.from({ length: directory.count }, (_, slot) => ({
    entry: directory.entryOffset(slot),
    offset: directory.nodeOffset(slot),
    bytes: directory.nodeBytes(slot),
  }));
}

function slotsIn(block: Uint8Array, start: number, nodeCount: number): { slots: Slot[]; end: number } {
  const slots: Slot[] = [];
  let at = start;
  const next = (): bigint | undefined => {
    const first = block[at];
    if (first === undefined) return undefined;
    const more = Math.max(0, first - 247);
    if (at + 1 + more > block.length) return undefined;
    const bytes = more === 0 ? [first] : [...block.subarray(at + 1, at + 1 + more)];
    at += 1 + more;
    return bytes.reduceRight((value, byte) => value * 256n + BigInt(byte), 0n);
  };
  while (slots.length < nodeCount) {
    const entry = at;
    const [offset, bytes] = [next(), next()];
    if (offset === undefined || bytes === undefined) return { slots, end: entry };
    slots.push({ entry, offset: clamped(offset), bytes: clamped(bytes) });
  }
  return { slots, end: at };
}

const clamped = (value: bigint): number => Math.min(Number(value), U32_MAX);

/** Compares the scan of a directory with a check of its slots, for several ends of the node area. */
function expectScan(directory: SlotDirectory, slots: readonly Slot[]): void {
  const ends = slots.flatMap(({ offset, bytes }) => [offset + bytes - 1, offset + bytes]);
  for (const freeOffset of [NODE_AREA_OFFSET, 1500, BLOCK_BYTES, ...ends.slice(-4)]) {
    if (freeOffset > BLOCK_BYTES) continue;
    const isOutside = ({ offset, bytes }: Slot): boolean => offset < NODE_AREA_OFFSET || offset + bytes > freeOffset;
    const filled = slots.filter(({ bytes }) => bytes > 0);
    const isAscending = filled.every(({ offset }, index) => {
      const before = filled[index - 1];
      return offset >= (before ? before.offset + before.bytes : NODE_AREA_OFFSET);
    });
    expect(directory.scan(freeOffset)).toEqual({ firstOutside: slots.findIndex(isOutside), isAscending, lostSlots: 0 });
    // Of slots that a checksum covers, zeros are lost nodes, and not outside.
    for (const sealed of [1, Math.ceil(slots.length / 2), slots.length]) {
      const isLost = ({ offset, bytes }: Slot, slot: number): boolean => offset === 0 && bytes === 0 && slot < sealed;
      const isWrong = (slot: Slot, index: number): boolean => isOutside(slot) && !isLost(slot, index);
      const lostSlots = slots.filter(isLost).length;
      expect(directory.scan(freeOffset, sealed)).toEqual({
        firstOutside: slots.findIndex(isWrong),
        isAscending,
        lostSlots,
      });
    }
  }
}
