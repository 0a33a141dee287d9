import { describe, expect, test } from 'vitest';
import { nodeOf } from '../../src/format/page.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { GOLDEN_NAMES, type GoldenName, goldenNodes, goldenPath } from '../support/files.ts';
import { hexOf } from '../support/nodes.ts';
import { brief, verifyAll } from '../support/verify.ts';
import { openBlockFile } from '../../src/disk/node-block-file.ts';

const EXPECTED: Record<GoldenName, string[]> = {
  empty: [],
  v1: ['info PAGE_CHECKSUM_ABSENT 1', 'info PAGE_CHECKSUM_ABSENT 2'],
  v2: ['info PAGE_CHECKSUM_ABSENT 1', 'info PAGE_CHECKSUM_ABSENT 2'],
  'v2-unfinalized': [
    'warning NODES_WITHOUT_DIRECTORY 1',
    'info PAGE_CHECKSUM_ABSENT 1',
    'warning NODES_WITHOUT_DIRECTORY 2',
    'info PAGE_CHECKSUM_ABSENT 2',
  ],
  arenas: [1, 2, 3, 4].map((block) => `info PAGE_CHECKSUM_ABSENT ${block}`),
  'stale-header': ['error FILE_HEADER_CHECKSUM 0', 'info PAGE_CHECKSUM_ABSENT 1'],
};

describe.each(GOLDEN_NAMES)('%s, which the Rust code wrote', (name) => {
  test('has exactly the known findings', async () => {
    const file = await openBlockFile(goldenPath(name), 'read');
    const { findings, summary } = await verifyAll(file);
    await file.close();
    expect(brief(findings)).toEqual(EXPECTED[name]);
    expect(summary.nodes).toBe(goldenNodes(name).length);
  });

  test('has the nodes that an independent program read from it', async () => {
    const store = await PageStore.open(goldenPath(name), { access: 'read' });
    const nodes: { ref: string; hex: string }[] = [];
    for await (const { block, page } of store.pages()) {
      for (let slot = 0; slot < page.directory.count; slot++)
        nodes.push({ ref: `${block}:${slot}`, hex: hexOf(nodeOf(page, slot)) });
    }
    await store.close();
    expect(nodes).toEqual(goldenNodes(name));
  });
});

test('directoryStart of a V2 page that was never finalized may be anywhere', async () => {
  // The format description says 262,144; one of the two golden pages has 64, like an empty page after finalizing.
  const file = await openBlockFile(goldenPath('v2-unfinalized'), 'read');
  const head = new Uint8Array(64);
  const starts: number[] = [];
  for (const block of [1, 2]) {
    await file.read(head, block * 262_144);
    starts.push(new DataView(head.buffer).getUint32(20, true));
  }
  await file.close();
  expect(starts).toEqual([64, 262_144]);
});
