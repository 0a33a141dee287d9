import { describe, expect, test } from 'vitest';
import { Hash64 } from '../../src/bytes/checksum.ts';
import { type BlockRange, NO_PAGE, type ScanBatch } from '../../src/verify/scan.ts';
import { type RangeScanner, scanInOrder } from '../../src/verify/verify-threads.ts';
import { random } from '../support/nodes.ts';

const batchOf = (blocks: number, id: number): ScanBatch => ({
  blocks,
  pages: 0,
  nodes: id,
  lostSlots: 0,
  sum: new Hash64(),
  newest: NO_PAGE,
  freedNodes: 0,
  problems: [],
  otherIds: [],
  otherLinks: [],
});

/** Yields a batch for each block, each after a delay. `out` counts the batches that have not been consumed. */
class SlowScanner implements RangeScanner {
  out = 0;
  most = 0;
  ranges = 0;
  readonly #wait: () => number;

  constructor(wait: () => number) {
    this.#wait = wait;
  }

  async *scan({ first, end }: BlockRange): AsyncGenerator<ScanBatch> {
    this.ranges++;
    for (let block = first; block < end; block++) {
      await new Promise((resolve) => setTimeout(resolve, this.#wait()));
      this.out++;
      this.most = Math.max(this.most, this.out);
      yield batchOf(1, block);
      this.out--;
    }
  }
}

const idsOf = async (batches: AsyncIterable<ScanBatch>): Promise<number[]> => {
  const ids: number[] = [];
  for await (const batch of batches) ids.push(batch.nodes);
  return ids;
};

const blocks = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

describe('the batches of several scanners', () => {
  test.each([1, 2, 3, 7])('are in the order of the blocks, whichever scanner is faster (%i)', async (count) => {
    const next = random(count);
    const scanners = blocks(0, count).map(() => new SlowScanner(() => 3 * next()));
    expect(await idsOf(scanInOrder(scanners, { first: 1, end: 62 }, 5))).toEqual(blocks(1, 62));
    expect(scanners.reduce((sum, { ranges }) => sum + ranges, 0)).toBe(13);
  });

  test('are not requested early, except one for each range', async () => {
    const fast = new SlowScanner(() => 0);
    const slow = new SlowScanner(() => 20);
    const batches = scanInOrder([slow, fast], { first: 0, end: 20 }, 10);
    await batches.next();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(fast.out).toBe(1);
    expect(await idsOf(batches)).toEqual(blocks(1, 20));
    expect(fast.most).toBe(1);
  });

  test('are bounded in number if one scanner hangs: the others stop running ahead', async () => {
    const hangs: RangeScanner = {
      async *scan() {
        await new Promise(() => undefined);
        yield batchOf(1, 0);
      },
    };
    let ranges = 0;
    const quick: RangeScanner = {
      async *scan({ first, end }) {
        ranges++;
        yield batchOf(end - first, first);
      },
    };
    void scanInOrder([hangs, quick], { first: 0, end: 1000 }, 1).next();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(ranges).toBe(3);
  });

  test('are delivered up to the failure of a scanner, followed by its error', async () => {
    const fails = (at: number): RangeScanner => ({
      async *scan({ first, end }) {
        for (let block = first; block < end; block++) {
          if (block === at) throw new Error(`block ${at}`);
          yield batchOf(1, block);
        }
      },
    });
    const ids: number[] = [];
    const batches = scanInOrder([fails(13), fails(13), fails(13)], { first: 1, end: 40 }, 5);
    await expect(
      (async () => {
        for await (const batch of batches) ids.push(batch.nodes);
      })(),
    ).rejects.toThrow('block 13');
    expect(ids).toEqual(blocks(1, 13));
  });

  test('end with an error if a range ends early', async () => {
    const short: RangeScanner = {
      async *scan({ first }) {
        yield batchOf(1, first);
      },
    };
    await expect(idsOf(scanInOrder([short], { first: 1, end: 4 }, 2))).rejects.toThrow('1 blocks before its end');
  });

  test('are none for an empty range', async () => {
    expect(await idsOf(scanInOrder([new SlowScanner(() => 0)], { first: 1, end: 1 }, 5))).toEqual([]);
  });
});
