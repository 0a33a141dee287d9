import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fileWithFreeList } from '../support/damage.ts';
import { makeNodes, random, text } from '../support/nodes.ts';
import { specNodes } from '../support/spec-reader.ts';
import { changed, type Diffed, diffed, fileOf } from '../support/transfer.ts';

const places = { compare: 'places' } as const;
const nodes = { compare: 'nodes' } as const;

describe('a diff by nodes', () => {
  /** Expects that both files have the same nodes in the same order without those added and removed. */
  function expectValid(a: Uint8Array, b: Uint8Array, { differences, report }: Diffed): void {
    const gone = new Set(differences.map((each) => ('slot' in each ? `${each.type} ${each.block}:${each.slot}` : '')));
    const rest = (file: Uint8Array, type: string): string[] =>
      specNodes(file).flatMap(({ ref, bytes }) => (gone.has(`${type} ${ref}`) ? [] : [bytes.toString('latin1')]));
    const [restA, restB] = [rest(a, 'removed'), rest(b, 'added')];
    expect(restA.length === restB.length && restA.every((node, index) => node === restB[index])).toBe(true);
    expect(gone.size).toBe(differences.length);
    const equal = rest(a, '').join('\n') === rest(b, '').join('\n') && rest(a, '').length === rest(b, '').length;
    expect(report.same).toBe(equal);
  }

  const node = fc.constantFrom(
    ...Array.from({ length: 9 }, (_, index) => makeNodes(1, index * 3, index * 3, index)[0]!),
  );
  const sequence = fc.array(node, { maxLength: 60 });

  test('turns any sequence into any other, and finds no difference only in equal ones', async () => {
    await fc.assert(
      fc.asyncProperty(sequence, sequence, fc.boolean(), async (first, second, isSame) => {
        const [a, b] = [await fileOf(first, 'v1'), await fileOf(isSame ? first : second, 'v2')];
        expectValid(a, b, await diffed(a, b, nodes));
      }),
      { numRuns: 60 },
    );
  });

  test('finds the one node among many that was inserted, removed or changed', async () => {
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

  test('finds a run of thousands of inserted nodes, and scattered changes', async () => {
    const next = random(5);
    const all = Array.from({ length: 12_000 }, (_, index) => Buffer.from(`node ${index}`));
    const a = await fileOf(all);
    const inserted = Array.from({ length: 6000 }, (_, index) => Buffer.from(`inserted ${index}`));
    const long = await fileOf(all.toSpliced(5000, 0, ...inserted));
    const found = await diffed(a, long, nodes);
    expect(found.report.differences).toMatchObject({ added: 6000, removed: 0 });
    expectValid(a, long, found);
    for (const share of [0.02, 0.4]) {
      let count = 0;
      const scattered = all.map((bytes) => (next() < share ? Buffer.from(`changed ${count++}`) : bytes));
      const b = await fileOf(scattered, 'v2');
      const result = await diffed(a, b, nodes);
      expect(result.report.differences).toMatchObject({ added: count, removed: count });
      expectValid(a, b, result);
    }
  });

  test('finds a run of inserted nodes that is longer than its window', async () => {
    const all: Uint8Array[] = Array.from({ length: 70_000 }, (_, index) => Buffer.from(`n${index}`));
    const inserted = Array.from({ length: 67_000 }, (_, index) => Buffer.from(`i${index}`));
    const [a, b] = [await fileOf(all), await fileOf(all.toSpliced(2000, 0, ...inserted), 'v2')];
    const counts = async (from: Uint8Array, to: Uint8Array): Promise<unknown> =>
      (await diffed(from, to, nodes)).report.differences;
    expect(await counts(a, b)).toMatchObject({ added: 67_000, removed: 0 });
  });

  test('is correct if the files have nothing in common, and if one has no nodes', async () => {
    const a = await fileOf(Array.from({ length: 70_000 }, (_, index) => Buffer.from(`a${index}`)));
    const b = await fileOf(Array.from({ length: 75_000 }, (_, index) => Buffer.from(`b${index}`)));
    for (const [first, second] of [
      [a, b],
      [b, a],
      [a, await fileOf([])],
    ] as const) {
      const { report } = await diffed(first, second, nodes);
      expect(report.differences).toMatchObject({ removed: report.nodes.a, added: report.nodes.b });
    }
  });

  test('ignores the refs of nodes', async () => {
    const file = await fileWithFreeList();
    const a = await changed(file, (store) => store.append(text('node')));
    expect((await diffed(a, await fileOf([text('node')], 'v2'), nodes)).report.same).toBe(true);
    expect((await diffed(a, await fileOf([text('node')], 'v2'), places)).report.same).toBe(false);
  });
});
