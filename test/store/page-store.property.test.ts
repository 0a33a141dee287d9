import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { formatRef, type RefRun } from '../../src/store/page-ref.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { hexOf, random } from '../support/nodes.ts';
import { specNodes } from '../support/spec-reader.ts';
import { verifyAll } from '../support/verify.ts';

const format = fc.constantFrom<PageFormat>('v1', 'v2');
const lengths = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 200 }) },
    { weight: 2, arbitrary: fc.integer({ min: 200, max: 30_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 262_008 }) },
  ),
  { maxLength: 25 },
);

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), lengths }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('reopen' as const), format: fc.option(format, { nil: undefined }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('update' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('finalize' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('free' as const), which: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('allocate' as const), format, count: fc.integer({ min: 1, max: 2 }) }),
  },
);

/** What the store should hold: refs and bytes, in a plain array. */
type Model = { ref: string; block: number; slot: number; bytes: Uint8Array }[];

function addRuns(model: Model, runs: readonly RefRun[], nodes: readonly Uint8Array[]): void {
  let index = 0;
  for (const run of runs) {
    for (let slot = run.slot; slot < run.slot + run.count; slot++) {
      const ref = { block: run.block, slot };
      model.push({ ref: formatRef(ref), ...ref, bytes: nodes[index++]! });
    }
  }
  expect(index).toBe(nodes.length);
  // A ref is given once: nothing that was acknowledged is ever given away again.
  expect(new Set(model.map((node) => node.ref)).size).toBe(model.length);
}

async function check(bytes: Uint8Array, model: Model): Promise<void> {
  const { findings, summary } = await verifyAll(bytes.slice());
  expect(findings.filter((finding) => finding.severity !== 'info')).toEqual([]);
  expect(summary.nodes).toBe(model.length);
  const bySpec = new Map(specNodes(bytes).map((node) => [node.ref, hexOf(node.bytes)]));
  expect(bySpec.size).toBe(model.length);
  for (const { ref, bytes: node } of model) expect(bySpec.get(ref)).toBe(hexOf(node));
}

describe('a page store', () => {
  test('returns what was stored, in V1, V2 and mixed files, compared with a plain array, also after reopening', async () => {
    await fc.assert(
      fc.asyncProperty(format, fc.array(step, { maxLength: 10 }), fc.integer(), async (first, script, seed) => {
        const next = random(seed);
        const file = new MemoryBlockFile();
        let store = await PageStore.create(file, { pageFormat: first });
        let model: Model = [];
        for (const action of script) {
          if (action.kind === 'append') {
            const nodes = action.lengths.map((length) => new Uint8Array(length).fill(Math.floor(next() * 256)));
            addRuns(model, await store.appendMany(nodes), nodes);
          } else if (action.kind === 'reopen') {
            await store.close();
            store = await PageStore.open(file, action.format ? { pageFormat: action.format } : {});
          } else if (action.kind === 'allocate') {
            await store.allocate(action.count, action.format);
          } else if (action.kind === 'update' && model.length > 0) {
            const node = model[action.which % model.length]!;
            node.bytes = node.bytes.map((byte) => byte ^ 0x5a);
            await store.update(node, node.bytes);
          } else {
            const block = 1 + ((action.kind === 'update' ? 0 : action.which) % (file.bytes.length / 262_144 - 1));
            if (action.kind === 'finalize') await store.finalize({ blocks: [block] }).catch(expectFree);
            if (action.kind === 'free') {
              await store.free(block).catch(expectFree);
              model = model.filter((node) => node.block !== block);
            }
          }
          for (const node of model.slice(-3)) expect(hexOf(await store.read(node))).toBe(hexOf(node.bytes));
        }
        await check(file.bytes, model);
        await store.close();
        await check(file.bytes, model);
      }),
      { numRuns: 60 },
    );
  });
});

function expectFree(error: unknown): void {
  expect(error).toMatchObject({ code: 'BLOCK_FREE' });
}
