import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { ByteNodeArena } from '../../src/format/byte-node-arena.ts';
import { isLostSlot, nodesOf } from '../../src/format/page.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { findKeys } from '../../src/transfer/find-keys.ts';
import { diff, type Difference } from '../../src/index.ts';
import { stat } from '../../src/view/statistics.ts';
import { damaged } from '../support/damage.ts';
import { exported, imported } from '../support/exchange.ts';
import { hexOf, makeNodes, random, text } from '../support/nodes.ts';
import { recoverAll, nodesByRef } from '../support/recover.ts';
import { jsonLines } from '../support/cli.ts';
import { compacted } from '../support/transfer.ts';
import { brief, verifyAll } from '../support/verify.ts';

const B = 262_144;
const SLOTS = 2000;

/** A V1 page of nodes that are all different, 20 to 100 bytes each. */
const good = await filled();
const original = await nodesByRef(good);

async function filled(): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  const nodes = makeNodes(SLOTS, 20, 100);
  for (const [index, node] of nodes.entries()) new DataView(node.buffer).setUint32(0, index);
  await store.appendMany(nodes);
  await store.close();
  return file.bytes.slice();
}

/** The bytes of slots `from` to `to` of page 1 in the file. */
const entries = (from: number, to: number): [start: number, end: number] => [2 * B - 8 * (to + 1), 2 * B - 8 * from];

const zeroed = (from: number, to: number): Uint8Array => damaged(good, (copy) => copy.fill(0, ...entries(from, to)));

/** Fails if a node is at a ref at which another node was, or none. */
function expectNothingInvented(nodes: ReadonlyMap<string, string | { readonly hex: string }>): void {
  const invented = [...nodes].filter(
    ([ref, node]) => original.get(ref) !== (typeof node === 'string' ? node : node.hex),
  );
  expect(invented).toEqual([]);
}

describe('recover invents nothing:', () => {
  const DAMAGE: readonly [string, Uint8Array, number][] = [
    ['12 KiB of zeros in a directory', zeroed(100, 1635), 1536],
    ['two slots of zeros', zeroed(100, 101), 2],
    ['a sector of zeros', zeroed(64, 127), 64],
    ['the first slots', zeroed(0, 63), 64],
    ['the last slots', zeroed(SLOTS - 64, SLOTS - 1), 64],
    ['two places of zeros', damaged(zeroed(100, 120), (copy) => copy.fill(0, ...entries(500, 520))), 42],
    ['0xff in a directory', damaged(good, (copy) => copy.fill(0xff, ...entries(100, 163))), 64],
  ];

  test.each(DAMAGE)('%s', async (_, bytes, lost) => {
    const { summary, nodes, errors, bytes: recovered } = await recoverAll(bytes);
    expect(errors).toEqual([]);
    expectNothingInvented(nodes);
    expect(summary).toMatchObject({ nodes: SLOTS - lost, slots: { lost }, isWhole: false });
    expectNothingInvented(await nodesByRef(recovered).then((all) => withoutLost(all, nodes)));
    const { findings, summary: verified } = await verifyAll(recovered);
    expect(verified).toMatchObject({ nodes: SLOTS - lost, lostSlots: lost });
    expect([...new Set(brief(findings).map((each) => each.replace(/:\d+$/, '')))]).toEqual(['info SLOT_LOST 1']);
  });

  test('garbage anywhere in a directory never gives a node that was not there', { timeout: 60_000 }, async () => {
    const next = random(5);
    for (let run = 0; run < 60; run++) {
      const bytes = damaged(good, (copy) => {
        const from = 2 * B - 8 * Math.floor(next() * SLOTS);
        const length = 1 + Math.floor(next() * 600);
        const kind = next();
        for (let at = from; at < Math.min(from + length, 2 * B); at++) {
          copy[at] = kind < 0.4 ? 0 : kind < 0.6 ? 0xff : Math.floor(next() * 256);
        }
      });
      const { nodes, errors } = await recoverAll(bytes);
      expect(errors).toEqual([]);
      const bogus = [...nodes].filter(([ref, { hex }]) => !original.get(ref)?.includes(hex));
      // Random bytes can by chance be bounds within the page; they are never a node longer than any was.
      expect(bogus.filter(([, { hex }]) => hex.length > 2 * 100 && kindOf(bytes) !== 'random')).toEqual([]);
    }
  });

  test('a slot between two sound ones is still rebuilt from its neighbours', async () => {
    const { summary, nodes } = await recoverAll(zeroed(100, 100));
    expect(summary).toMatchObject({ nodes: SLOTS, isWhole: true });
    expectNothingInvented(nodes);
  });
});

const kindOf = (bytes: Uint8Array): 'random' | 'plain' => {
  const changed = [...bytes.entries()].filter(([at, byte]) => byte !== good[at]).map(([, byte]) => byte);
  return changed.every((byte) => byte === 0) || changed.every((byte) => byte === 0xff) ? 'plain' : 'random';
};

/** The nodes of a new file by ref, those that the report calls lost left out. */
function withoutLost(all: Map<string, string>, kept: ReadonlyMap<string, unknown>): Map<string, string> {
  return new Map([...all].filter(([ref]) => kept.has(ref)));
}

describe.each(['v1', 'v2'] as const)('a lost slot in a %s file', (format) => {
  const LOST = [3, 4, 9];

  /** Ten nodes, of which three are lost. */
  async function withLost(): Promise<Uint8Array> {
    const lines = Array.from({ length: 10 }, (_, slot) =>
      LOST.includes(slot)
        ? { type: 'lost', ref: `1:${slot}` }
        : { type: 'node', ref: `1:${slot}`, text: `node ${slot}` },
    );
    const head = { schema: 1, command: 'export' };
    const all = [
      { type: 'file', ...head, blocks: 2 },
      { type: 'page', block: 1, format, finalized: false, nodes: 7, lost: 3 },
      ...lines,
      { type: 'summary', ...head, blocks: 2, pages: 1, freeBlocks: 0, nodes: 7, lost: 3 },
    ];
    const { bytes, report } = await imported(Buffer.from(all.map((each) => `${JSON.stringify(each)}\n`).join('')));
    expect(report).toMatchObject({ nodes: 7, lostSlots: 3 });
    return bytes;
  }

  test('is an error of the calls that name it, and no node for those that read all', async () => {
    const file = new MemoryBlockFile(await withLost());
    const store = await PageStore.open(file);
    const page = await store.readPage(1);
    for (const slot of LOST) {
      const ref = { block: 1, slot };
      await expect(store.read(ref)).rejects.toMatchObject({ code: 'SLOT_LOST', detail: { block: 1, slot } });
      await expect(store.view(ref)).rejects.toMatchObject({ code: 'SLOT_LOST' });
      await expect(store.update(ref, new Uint8Array(0))).rejects.toMatchObject({ code: 'SLOT_LOST' });
      expect([store.tryRead(ref), store.tryView(ref)]).toEqual([undefined, undefined]);
      expect(isLostSlot(page, slot)).toBe(true);
    }
    const refs: number[] = [];
    for await (const { ref } of store.nodes()) refs.push(ref.slot);
    expect(refs).toEqual([0, 1, 2, 5, 6, 7, 8]);
    // Its number is not given to the next node, which other writers of the page may add.
    expect(await store.append(new Uint8Array(0))).toEqual({ block: 1, slot: 10 });
    expect(await store.read({ block: 1, slot: 10 })).toEqual(new Uint8Array(0));
    await store.close();
    const { findings, summary } = await verifyAll(file.bytes);
    expect(brief(findings)).toEqual(['info SLOT_LOST 1:3', 'info SLOT_LOST 1:9']);
    expect(summary).toMatchObject({ nodes: 8, lostSlots: 3 });
  });

  test('has no node in a page in memory, and stays lost when the page grows and is stored', async () => {
    const bytes = (await withLost()).slice(B, 2 * B);
    const page = ByteNodeArena.from(bytes);
    expect(page).toMatchObject({ nodeCount: 7, slotCount: 10, lostSlots: 3, isDirty: false });
    for (const slot of LOST) {
      for (const use of [
        () => page.read(slot),
        () => page.slotRange(slot),
        () => page.update(slot, new Uint8Array(0)),
      ]) {
        expect(use).toThrow(expect.objectContaining({ code: 'SLOT_LOST', detail: { slot } }));
      }
      expect(page.entryRange(slot).end).toBeGreaterThan(page.entryRange(slot).start);
    }
    const present = [0, 1, 2, 5, 6, 7, 8].map((slot) => `node ${slot}`);
    const nodes = (of: Iterable<Uint8Array>): string[] => Array.from(of, (node) => Buffer.from(node).toString());
    expect([nodes(page.nodes()), nodes(nodesOf(page.page))]).toEqual([present, present]);
    expect(Array.from(page.problems(), ({ code }) => code)).toEqual(['SLOT_LOST', 'SLOT_LOST']);
    expect(page.allocate(new Uint8Array(0))).toBe(10);
    page.update(8, text('NODE 8'));
    page.finalize();
    expect(page).toMatchObject({ nodeCount: 8, slotCount: 11, lostSlots: 3 });
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file);
    expect(await store.addPage(page)).toBe(2);
    expect(await store.page(2)).toMatchObject({ nodeCount: 8, slotCount: 11, lostSlots: 3 });
    await expect(store.read({ block: 2, slot: 9 })).rejects.toMatchObject({ code: 'SLOT_LOST' });
    await store.close();
    // The count of the header is of slots.
    const { findings, summary } = await verifyAll(file.bytes);
    expect(brief(findings)).toEqual(['info SLOT_LOST 2:3', 'info SLOT_LOST 2:9']);
    expect(summary).toMatchObject({ nodes: 8, lostSlots: 3 });
  });

  test('is not the node of an empty key', async () => {
    const store = await PageStore.open(new MemoryBlockFile(await withLost()));
    expect(await findKeys(store, [''])).toEqual([undefined]);
    const ref = await store.append(new Uint8Array(0));
    expect(await findKeys(store, [''])).toEqual([{ ref, valueOffset: 0 }]);
    await store.close();
  });

  test('is not counted by stat, left out by compact, and kept by recover, export and import', async () => {
    const bytes = await withLost();
    expect(await stat(new MemoryBlockFile(bytes))).toMatchObject({ nodes: 7, lostSlots: 3, shortestNode: 6 });
    const compact = await compacted(bytes);
    expect(compact.report).toMatchObject({ before: { nodes: 7 }, after: { nodes: 7 }, lostSlots: 3 });
    expect((await verifyAll(compact.bytes)).findings).toEqual([]);
    const lines = await exported(bytes);
    expect(jsonLines(lines).filter(({ type }) => type === 'lost')).toEqual(
      LOST.map((slot) => ({ type: 'lost', ref: `1:${slot}` })),
    );
    expect((await exported((await imported(lines)).bytes)).equals(lines)).toBe(true);
    const { summary, bytes: recovered } = await recoverAll(bytes);
    expect(summary).toMatchObject({ nodes: 7, slots: { lost: 3 }, isWhole: false });
    expect((await verifyAll(recovered)).summary).toMatchObject({ nodes: 7, lostSlots: 3 });
  });

  test.each(['places', 'nodes'] as const)('is a node less for diff, by %s, and equal to itself', async (compare) => {
    const bytes = await withLost();
    const whole = new MemoryBlockFile();
    const store = await PageStore.create(whole, { pageFormat: format });
    await store.appendMany(Array.from({ length: 10 }, (_, slot) => Buffer.from(`node ${slot}`)));
    await store.close();
    const found = async (a: Uint8Array, b: Uint8Array): Promise<string[]> => {
      const all: Difference[] = [];
      await diff(new MemoryBlockFile(a), new MemoryBlockFile(b), {
        compare,
        onDifference: (each) => void all.push(each),
      });
      return all.map((each) => `${each.type} ${'slot' in each ? each.slot : ''}`);
    };
    expect(await found(bytes, bytes)).toEqual([]);
    expect(await found(whole.bytes, bytes)).toEqual(LOST.map((slot) => `removed ${slot}`));
    expect(await found(bytes, whole.bytes)).toEqual(LOST.map((slot) => `added ${slot}`));
  });

  test('is not believed without a checksum that proves it', async () => {
    const bytes = await withLost();
    const flags = Buffer.from(bytes).readUInt16LE(B + 10) & ~2;
    const unsealed = damaged(bytes, (copy, view) => {
      view.setUint16(B + 10, flags, true);
      for (const at of [24, 28, 32]) view.setUint32(B + at, 0, true);
      copy.fill(0, 4096, 12_800);
    });
    for (const each of [unsealed, damaged(bytes, (copy) => (copy[B + 64] = 0xff))]) {
      const { findings } = await verifyAll(each);
      expect(brief(findings)).toContain('error SLOT_BOUNDS 1:3');
      expect(findings.filter(({ code }) => code === 'SLOT_LOST')).toEqual([]);
    }
  });
});

test('the page that recover makes has its lost slots as the format says: offset 0 and length 0', async () => {
  const { bytes } = await recoverAll(zeroed(100, 101));
  expect(hexOf(bytes.subarray(...entries(100, 101)))).toBe('00'.repeat(16));
  expect(hexOf(bytes.subarray(...entries(99, 99)))).not.toBe('00'.repeat(8));
});
