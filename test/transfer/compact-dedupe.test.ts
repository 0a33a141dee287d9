import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fnv1a64Into, Hash64 } from '../../src/bytes/checksum.ts';
import { hexOf, text } from '../support/nodes.ts';
import { specNodes } from '../support/spec-reader.ts';
import { compacted, expectRefs, fileOfBatches, FORMATS, sequence } from '../support/transfer.ts';

describe('compact with dedupe', () => {
  test('keeps the first of equal nodes, and maps all their refs to it', async () => {
    const nodes = ['a', '', 'b', 'a', 'c', '', 'b', 'a'].map(text);
    const { bytes, report, refs } = await compacted(await fileOfBatches([{ nodes, pageFormat: 'v1' }]), {
      dedupe: true,
    });
    expect(sequence(bytes)).toEqual(['a', '', 'b', 'c']);
    expect(report.duplicateNodes).toBe(4);
    expect([...refs.values()]).toEqual(['1:0', '1:1', '1:2', '1:0', '1:3', '1:1', '1:2', '1:0']);
  });

  test('is exact: it keeps the nodes that a Set of them would keep', async () => {
    const node = fc
      .constantFrom(0, 1, 2, 3, 5000, 60_000)
      .chain((bytes) => fc.constantFrom(0, 1).map((fill) => new Uint8Array(bytes).fill(fill)));
    await fc.assert(
      fc.asyncProperty(fc.array(node, { maxLength: 30 }), fc.constantFrom(...FORMATS), async (nodes, pageFormat) => {
        const source = await fileOfBatches([{ nodes, pageFormat }]);
        const { bytes, report, refs } = await compacted(source, { dedupe: true });
        const distinct = [...new Set(sequence(source))];
        expect(sequence(bytes)).toEqual(distinct);
        expect(report.duplicateNodes).toBe(nodes.length - distinct.length);
        expectRefs(source, bytes, refs);
      }),
      { numRuns: 25 },
    );
  });

  test('keeps different nodes with the same hash', async () => {
    // The table of known nodes uses 32 bits of the hash; among so many nodes, some share them.
    const byHash = new Map<number, number>();
    const pairs: Uint8Array[] = [];
    const hash = new Hash64();
    const node = new Uint8Array(4);
    const view = new DataView(node.buffer);
    for (let value = 0; value < 300_000; value++) {
      view.setUint32(0, Math.imul(value, 0x9e3779b1));
      fnv1a64Into(node, 0, 4, hash);
      const folded = hash.high ^ hash.low;
      const other = byHash.get(folded);
      byHash.set(folded, value);
      if (other === undefined) continue;
      const pair = node.slice();
      new DataView(pair.buffer).setUint32(0, Math.imul(other, 0x9e3779b1));
      pairs.push(node.slice(), pair);
    }
    expect(pairs.length).toBeGreaterThan(2);
    const { bytes, report } = await compacted(
      await fileOfBatches([{ nodes: [...pairs, ...pairs], pageFormat: 'v1' }]),
      {
        dedupe: true,
      },
    );
    expect(specNodes(bytes).map((each) => each.bytes.toString('hex'))).toEqual(pairs.map(hexOf));
    expect(report.duplicateNodes).toBe(pairs.length);
  });
});
