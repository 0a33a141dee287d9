import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { damaged } from '../support/damage.ts';
import { GOLDEN_NAMES, goldenBytes, goldenNodes } from '../support/files.ts';
import { nodesByRef, recoverAll } from '../support/recover.ts';

describe.each(GOLDEN_NAMES)('%s, which the Rust code wrote', (name) => {
  test('is recovered with the nodes that a third program read from it, at their refs, none of them doubtful', async () => {
    const { bytes, summary, errors } = await recoverAll(goldenBytes(name));
    const nodes = [...(await nodesByRef(bytes))].map(([ref, hex]) => ({ ref, hex }));
    expect(nodes).toEqual(goldenNodes(name));
    expect(errors).toEqual([]);
    expect(summary.slots).toMatchObject({ unverified: nodes.length, doubtful: 0, lost: 0 });
  });
});

test('a V2 page that was never finalized keeps its bytes, and the report says how many are without a slot', async () => {
  const source = goldenBytes('v2-unfinalized');
  const { bytes, blocks, summary } = await recoverAll(source);
  expect(blocks.slice(1).map(({ lostBytes }) => lostBytes)).toEqual([39, 261_994]);
  expect(blocks[1]!.problems.map(({ code }) => code)).toEqual(['NODES_WITHOUT_DIRECTORY']);
  expect(Buffer.compare(bytes.subarray(BLOCK_BYTES), source.subarray(BLOCK_BYTES))).toBe(0);
  expect(summary.isWhole).toBe(false);
});

test('a block count that is newer than its checksum is repaired, and the file is whole', async () => {
  const { summary, blocks } = await recoverAll(goldenBytes('stale-header'));
  expect(summary).toMatchObject({ header: 'derived', isWhole: true, blocks: 2 });
  expect(blocks[0]!.problems.map(({ code }) => code)).toEqual(['FILE_HEADER_CHECKSUM']);
});

describe.each(['v1', 'v2', 'arenas'] as const)('%s without any page header', (name) => {
  test('yields all its nodes, by the directories alone', async () => {
    const source = damaged(goldenBytes(name), (copy) => {
      for (let at = BLOCK_BYTES; at < copy.length; at += BLOCK_BYTES) copy.fill(0xee, at, at + 64);
    });
    const { nodes, summary, errors } = await recoverAll(source);
    expect([...nodes].map(([ref, { hex, state }]) => ({ ref, hex, state }))).toEqual(
      goldenNodes(name).map(({ ref, hex }) => ({ ref, hex, state: 'doubtful' })),
    );
    expect(errors).toEqual([]);
    expect(summary.slots.lost).toBe(0);
  });
});
