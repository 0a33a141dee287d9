import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fileWithFreeList } from '../support/damage.ts';
import { makeNodes, random, text } from '../support/nodes.ts';
import { specNodes } from '../support/spec-reader.ts';
import { changed, type Diffed, diffed, fileOf } from '../support/transfer.ts';

const places = { compare: 'places' } as const;
const nodes = { compare: 'nodes' } as const;

describe('by nodes', () => {
  /** Expects that without what was added and removed both files have the same nodes in the same order. */
  function expectValid(a: Uint8Array, b: Uint8Array, { differences, summary }: Diffed): void {
    const gone = new Set(differences.map((each) => ('slot' in each ? `${each.type} ${each.block}:${each.slot}` : '')));
    const rest = (file: Uint8Array, type: string): string[] =>
      specNodes(file).flatMap(({ ref, bytes }) => (gone.has(`${type} ${ref}`) ? [] : [bytes.toString('latin1')]));
    const [restA, restB] = [rest(a, 'removed'), rest(b, 'added')];
    expect(restA.length === restB.length && restA.every((node, index) => node === restB[index])).toBe(true);
    expect(gone.size).toBe(differences.length);
    const equal = rest(a, '').join('\n') === rest(b, '').join('\n') && rest(a, '').length === rest(b, '').length;
    expect(summary.same).toBe(equal);
  }

  const node = fc.constantFrom(
    ...Array.from({ length: 9 }, (_, index) => makeNodes(1, index * 3, index * 3, index)[0]!),
  );
  const sequence = fc.array(node, { maxLength: 60 });

  test('says of any two sequences what leads from one to the other, and that none is needed of equal ones alone', async () => {
    await fc.assert(
      fc.asyncProperty(sequence, sequence, fc.boolean(), async (first, second, isSame) => {
        const [a, b] = [await fileOf(first, 'v1'), await fileOf(isSame ? first : second, 'v2')];
        expectValid(a, b, await diffed(a, b, nodes));
      }),
      { numRuns: 60 },
    );
  }, 30_000);

  test('finds the one node that was inserted, removed or changed among many', async () => {
    const all: Uint8Array[] = Array.from({ length: 30_000 }, (_, index) => Buffer.from(`node ${index} of many`));
    const a = await fileOf(all);
    const with_ = (at: number, removed: number, ...added: Uint8Array[]): Promise<Uint8Array> =>
      fileOf(all.toSpliced(at, removed, ...added), 'v2');
    const typesOf = async (b: Uint8Array): Promise<string[]> =>
      (await diffed(a, b, nodes)).differences.map(({ type }) => type);
    expect(await typesOf(await with_(17_234, 0, Buffer.from('new')))).toEqual(['added']);
    expect(await typesOf(await with_(17_234, 1))).toEqual(['removed']);
    expect(await typesOf(await with_(17_234, 1, Buffer.from('new')))).toEqual(['removed', 'added']);
    expect(await typesOf(await with_(30_000, 0, Buffer.from('new')))).toEqual(['added']);
  });

  test('finds thousands of nodes in a row that were inserted, and changes all over', async () => {
    const next = random(5);
    const all = Array.from({ length: 12_000 }, (_, index) => Buffer.from(`node ${index}`));
    const a = await fileOf(all);
    const inserted = Array.from({ length: 6000 }, (_, index) => Buffer.from(`inserted ${index}`));
    const long = await fileOf(all.toSpliced(5000, 0, ...inserted));
    const found = await diffed(a, long, nodes);
    expect(found.summary.differences).toMatchObject({ added: 6000, removed: 0 });
    expectValid(a, long, found);
    for (const share of [0.02, 0.4]) {
      let count = 0;
      const scattered = all.map((bytes) => (next() < share ? Buffer.from(`changed ${count++}`) : bytes));
      const b = await fileOf(scattered, 'v2');
      const result = await diffed(a, b, nodes);
      expect(result.summary.differences).toMatchObject({ added: count, removed: count });
      expectValid(a, b, result);
    }
  });

  test('finds more nodes in a row than are looked at together', async () => {
    const all: Uint8Array[] = Array.from({ length: 70_000 }, (_, index) => Buffer.from(`n${index}`));
    const inserted = Array.from({ length: 67_000 }, (_, index) => Buffer.from(`i${index}`));
    const [a, b] = [await fileOf(all), await fileOf(all.toSpliced(2000, 0, ...inserted), 'v2')];
    const counts = async (from: Uint8Array, to: Uint8Array): Promise<unknown> =>
      (await diffed(from, to, nodes)).summary.differences;
    expect(await counts(a, b)).toMatchObject({ added: 67_000, removed: 0 });
  });

  test('is right where nothing is the same, and where one file has no nodes', async () => {
    const a = await fileOf(Array.from({ length: 70_000 }, (_, index) => Buffer.from(`a${index}`)));
    const b = await fileOf(Array.from({ length: 75_000 }, (_, index) => Buffer.from(`b${index}`)));
    for (const [first, second] of [
      [a, b],
      [b, a],
      [a, await fileOf([])],
    ] as const) {
      const { summary } = await diffed(first, second, nodes);
      expect(summary.differences).toMatchObject({ removed: summary.nodes.a, added: summary.nodes.b });
    }
  });

  test('does not go by where nodes are', async () => {
    const file = await fileWithFreeList();
    const a = await changed(file, (store) => store.append(text('node')));
    expect((await diffed(a, await fileOf([text('node')], 'v2'), nodes)).summary.same).toBe(true);
    expect((await diffed(a, await fileOf([text('node')], 'v2'), places)).summary.same).toBe(false);
  });
});
