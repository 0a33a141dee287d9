import { describe, expect, test } from 'vitest';
import { Comparer, Tally, type Taker } from './taker.ts';
import { makeWorkload, nodeViews, readOrder } from './workload.ts';

const workload = makeWorkload(1000);
const nodes = nodeViews(workload);

function give(taker: Taker, nodes: readonly Uint8Array[]): void {
  for (const node of nodes) taker.take(node, 0, node.length);
}

test('the nodes have 6 to 600 bytes, 43 on average, and all begin with other bytes', () => {
  const { lengths, payloadBytes } = makeWorkload(100_000);
  expect([Math.min(...lengths.subarray(0, 50_000)), Math.max(...lengths.subarray(0, 50_000))]).toEqual([6, 600]);
  expect(payloadBytes / lengths.length).toBeCloseTo(43, 0);
  expect(new Set(nodes.map((node) => node.readUInt32LE())).size).toBe(nodes.length);
});

test('nodes that are read as they were made are accepted, in a row and in an order', () => {
  const order = readOrder(workload.count, 250, 1);
  for (const numbers of [undefined, order]) {
    const given = numbers === undefined ? nodes : Array.from(numbers, (number) => nodes[number]!);
    const [tally, comparer] = [new Tally(), new Comparer(workload, numbers)];
    give(tally, given);
    give(comparer, given);
    expect(() => tally.assertEquals(workload, numbers)).not.toThrow();
    expect(() => comparer.assertComplete()).not.toThrow();
  }
});

describe('nodes are refused', () => {
  const wrong: Readonly<Record<string, readonly Uint8Array[]>> = {
    'where one is missing': nodes.slice(1),
    'where the last one is missing': nodes.slice(0, -1),
    'where one comes twice': [...nodes, nodes[0]!],
    'where two have changed places': [nodes[1]!, nodes[0]!, ...nodes.slice(2)],
    'where one is cut': [nodes[0]!.subarray(1), ...nodes.slice(1)],
    'where the first byte of one is another': [
      Uint8Array.from(nodes[0]!, (byte, at) => (at === 0 ? ~byte : byte)),
      ...nodes.slice(1),
    ],
  };
  test.each(Object.entries(wrong))('%s', (_, given) => {
    const tally = new Tally();
    give(tally, given);
    expect(() => tally.assertEquals(workload)).toThrow(/nodes were read/);
    expect(() => {
      const comparer = new Comparer(workload);
      give(comparer, given);
      comparer.assertComplete();
    }).toThrow(/nodes were read|has other bytes/);
  });

  test('where the last byte of one is another, when all bytes are compared', () => {
    const { length } = nodes[0]!;
    const changed = Uint8Array.from(nodes[0]!, (byte, at) => (at === length - 1 ? ~byte : byte));
    expect(() => give(new Comparer(workload), [changed])).toThrow('read number 0 should be node 0');
  });
});
