// Page writers: nodes added by where they are in one array, against the same nodes added one by one.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { newPageWriter } from '../../src/format/page.ts';
import { completePage, encodePlannedHeader, type PageWriter } from '../../src/format/page-writer.ts';

const SOURCE = Uint8Array.from({ length: 400_000 }, (_, at) => at * 7 + (at >>> 8));

const nodeBytes = fc.oneof(
  { weight: 10, arbitrary: fc.nat(60) },
  { weight: 2, arbitrary: fc.integer({ min: 600, max: 700 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 60_000 }) },
);
/** A node that begins where the one before ends, or elsewhere. */
const node = fc.record({
  bytes: nodeBytes,
  at: fc.oneof({ weight: 6, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat(300_000) }),
});
const batch = fc.record({
  nodes: fc.array(node, { maxLength: 60 }),
  times: fc.constantFrom(1, 1, 20),
  commits: fc.boolean(),
});
type Batch = typeof batch extends fc.Arbitrary<infer Of> ? Of : never;

/** The pairs of `addRanges`. */
function wordsOf({ nodes, times }: Batch, base: number): Int32Array {
  const words: number[] = [];
  let end = 0;
  for (let time = 0; time < times; time++) {
    for (const { bytes, at } of nodes) {
      const start = Math.min(at < 0 ? end : at, SOURCE.length - bytes);
      words.push(base + start, bytes);
      end = start + bytes;
    }
  }
  return Int32Array.from(words);
}

function commit(writer: PageWriter): void {
  const plan = writer.plan('open');
  writer.block.set(encodePlannedHeader(writer.format, writer.block, plan));
  writer.committed();
}

function run(format: 'v1' | 'v2', base: number, batches: readonly Batch[]): void {
  const [ranged, single] = [newPageWriter(format), newPageWriter(format)];
  for (const each of batches) {
    const words = wordsOf(each, base);
    const from = Math.min(2, words.length);
    const end = ranged.addRanges(SOURCE, base, words, from, words.length);
    let at = from;
    for (; at < words.length; at += 2) {
      const start = words[at]! - base;
      if (!single.add(SOURCE, start, start + words[at + 1]!)) break;
    }
    assert.equal(end, at);
    assert.equal(ranged.nodeCount, single.nodeCount);
    if (each.commits && ranged.nodeCount > 0) for (const writer of [ranged, single]) commit(writer);
  }
  for (const writer of [ranged, single]) completePage(writer, writer.plan('full'));
  assert.equal(Buffer.compare(ranged.block, single.block), 0, 'the pages have the same bytes');
}

const propertyOf = (format: 'v1' | 'v2'): fc.IProperty<[number, Batch[]]> =>
  fc.property(fc.constantFrom(0, 1, 65_536, 2 ** 31 - 400_001), fc.array(batch, { maxLength: 6 }), (base, batches) =>
    run(format, base, batches),
  );

/** As the properties of arena-model.ts. */
export const RANGE_PROPERTIES = {
  'ranges in V1 pages': propertyOf('v1'),
  'ranges in V2 pages': propertyOf('v2'),
} as const;
