import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { damaged, fileWithFreeList, smallFile } from '../support/damage.ts';
import { goldenBytes } from '../support/files.ts';
import { makeNodes } from '../support/nodes.ts';
import { changed, diffed, fileOf } from '../support/transfer.ts';

const places = { compare: 'places' } as const;
const nodes = { compare: 'nodes' } as const;

describe('damage in a compared file', () => {
  test('is reported, and the rest is compared', async () => {
    const a = await fileOf(makeNodes(1000, 400, 400));
    const other = await changed(a, (store) => store.update({ block: 2, slot: 0 }, new Uint8Array(400)));
    const b = damaged(other, (copy) => (copy[fileOffset(1, 100)]! ^= 1));
    expect((await diffed(a, b)).differences).toMatchObject([
      { type: 'damaged', file: 'b', code: 'PAGE_CHECKSUM', block: 1 },
      { type: 'changed', block: 2, slot: 0, aBytes: 400, bBytes: 400 },
    ]);
  });

  test('ends the comparison of sequences: nodes that it may hide are not reported as removed', async () => {
    const a = await fileOf(makeNodes(1000, 400, 400));
    const b = damaged(a, (copy) => (copy[fileOffset(1, 100)]! ^= 1));
    for (const files of [[a, b] as const, [b, a] as const]) {
      const { differences, report } = await diffed(...files, nodes);
      expect(differences).toMatchObject([{ type: 'damaged', code: 'PAGE_CHECKSUM', block: 1 }]);
      expect(report.sequencesCompared).toBe(false);
    }
    expect((await diffed(a, a, nodes)).report.sequencesCompared).toBe(true);
  });

  test('makes files differ even if both have the same damage', async () => {
    const file = damaged(await smallFile('v1'), (copy) => (copy[fileOffset(1, 70)]! ^= 1));
    for (const options of [places, nodes]) {
      const { report } = await diffed(file, file, options);
      expect(report).toMatchObject({ same: false, differences: { damaged: 2 } });
    }
  });

  test('of headers, free lists and truncated files is reported once', async () => {
    const file = await fileWithFreeList();
    const codes = async (bytes: Uint8Array): Promise<string[]> =>
      (await diffed(file, bytes)).differences.flatMap((each) => (each.type === 'damaged' ? [each.code] : []));
    expect(await codes(damaged(file, (copy) => (copy[48]! ^= 1)))).toEqual(['FILE_HEADER_CHECKSUM']);
    expect(await codes(file.subarray(0, file.length - BLOCK_BYTES))).toEqual(['BLOCK_COUNT_BEYOND_FILE']);
    expect(await codes(damaged(file, (_, view) => view.setBigUint64(fileOffset(3), 2n << 40n, true)))).toEqual([
      'FREE_LIST_CYCLE',
    ]);
  });

  test('that leaves nodes without a directory makes sequences differ', async () => {
    const { differences } = await diffed(goldenBytes('v2-unfinalized'), goldenBytes('v2-unfinalized'), nodes);
    expect(differences).toMatchObject(
      ['a', 'a', 'b', 'b'].map((file) => ({ type: 'damaged', file, code: 'NODES_WITHOUT_DIRECTORY' })),
    );
  });
});
