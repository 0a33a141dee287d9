import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { PageFileBuilder } from '../../src/store/page-file-builder.ts';
import { nodesByRef, recoverAll } from '../support/recover.ts';

/** A V1 page without a checksum whose slots are these. */
async function handMade(slots: readonly (readonly [offset: number, bytes: number])[]): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const builder = await PageFileBuilder.begin(file);
  const page = new Uint8Array(BLOCK_BYTES).fill(0x31, 64);
  const view = new DataView(page.buffer);
  page.set(Buffer.from('BYTARANA'));
  view.setUint16(8, 1, true);
  view.setUint32(12, slots.length, true);
  view.setUint32(16, BLOCK_BYTES - 8 * slots.length, true);
  view.setUint32(20, BLOCK_BYTES - 8 * slots.length, true);
  for (const [slot, [offset, bytes]] of slots.entries()) {
    view.setUint32(BLOCK_BYTES - 8 * (slot + 1), offset, true);
    view.setUint32(BLOCK_BYTES - 8 * (slot + 1) + 4, bytes, true);
  }
  await builder.addBlock(page, slots.length);
  await builder.finish();
  return file.bytes.slice();
}

describe('slots that overlap', () => {
  test('are both kept, as doubtful', async () => {
    const { nodes, errors, summary } = await recoverAll(
      await handMade([
        [64, 100],
        [100, 100],
        [300, 50],
      ]),
    );
    expect(errors).toEqual([]);
    expect([...nodes].map(([ref, { hex, state }]) => [ref, hex.length / 2, state])).toEqual([
      ['1:0', 100, 'doubtful'],
      ['1:1', 100, 'doubtful'],
      ['1:2', 50, 'doubtful'],
    ]);
    expect(summary.movedNodes).toBe(0);
  });

  test('are moved to pages after the last if they do not fit, and the report says where', async () => {
    const big = [64, 200_000] as const;
    const { nodes, moved, errors, summary } = await recoverAll(await handMade([big, [100, 200_000], [300, 50]]));
    expect(errors).toEqual([]);
    expect(moved).toEqual([{ block: 1, slot: 1, newBlock: 2, newSlot: 0, count: 1 }]);
    expect([...nodes].map(([ref, { hex }]) => [ref, hex.length / 2])).toEqual([
      ['1:0', 200_000],
      ['1:1', 200_000],
      ['1:2', 50],
    ]);
    expect(summary).toMatchObject({ movedNodes: 1, nodes: 3, blocks: 3, isWhole: false });
  });

  test('cannot make more than one page out of another', async () => {
    const slots = Array.from({ length: 200 }, () => [64, 200_000] as const);
    const { summary, bytes, errors } = await recoverAll(await handMade(slots));
    expect(errors).toEqual([]);
    expect(summary.slots).toMatchObject({ doubtful: 2, lost: 198 });
    expect(bytes.length).toBe(3 * BLOCK_BYTES);
  });
});

test('a lost slot in the middle of a page becomes an empty node, and the slots after it keep their refs', async () => {
  const { nodes, blocks, bytes } = await recoverAll(
    await handMade([
      [64, 10],
      [900_000, 10],
      [500, 20],
      [600, 30],
    ]),
  );
  expect([...nodes.keys()]).toEqual(['1:0', '1:2', '1:3']);
  expect((await nodesByRef(bytes)).get('1:1')).toBe('');
  expect(blocks[1]!.runs).toEqual([
    { from: 0, to: 0, state: 'doubtful' },
    { from: 1, to: 1, state: 'lost' },
    { from: 2, to: 3, state: 'doubtful' },
  ]);
});
