import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { PageStoreError } from '../../src/errors.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { makeNodes } from '../support/nodes.ts';
import { nodesByRef, recoverAll } from '../support/recover.ts';
import { verifyAll } from '../support/verify.ts';

/** Blocks: V1 page, V2 page, free, V1 page, free, sealed V2 page. */
async function mixedFile(): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat: 'v1' });
  await store.appendMany(makeNodes(80, 0, 200));
  await store.allocate(2, 'v2');
  await store.allocate(2, 'v1');
  await store.allocate(1, 'v2');
  await store.appendMany(makeNodes(60, 0, 9000, 3));
  for (const block of [3, 5]) await store.free(block);
  await store.finalize({ blocks: [6] });
  await store.close();
  return file.bytes.slice();
}

const good = await mixedFile();
const blocks = good.length / BLOCK_BYTES;
const original = await nodesByRef(good);

const place = fc.oneof(
  fc.nat(90),
  fc.nat(6000),
  fc.nat(BLOCK_BYTES - 1),
  fc.integer({ min: BLOCK_BYTES - 700, max: BLOCK_BYTES - 1 }),
  fc.tuple(fc.constantFrom(4096, 8192, 12_288), fc.nat(171)).map(([from, at]) => from + at),
);
const length = fc.constantFrom(1, 4, 8, 64, 512, 5000, BLOCK_BYTES);
const mutation = fc.record({
  block: fc.nat(blocks - 1),
  offset: place,
  length,
  kind: fc.constantFrom('flip', 'set', 'zero', 'shift', 'extreme', 'cut'),
  value: fc.nat(0xffff_ffff),
});
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

function mutate(bytes: Uint8Array, { block, offset, length, kind, value }: Mutation): Uint8Array {
  const at = Math.min(fileOffset(block, offset), bytes.length - 1);
  const end = Math.min(at + length, bytes.length);
  if (kind === 'cut') return value % 3 === 0 ? bytes.slice(0, Math.max(1, at)) : bytes;
  if (kind === 'flip') bytes[at]! ^= 1 << (value & 7);
  else if (kind === 'set') for (let byte = at; byte < end; byte++) bytes[byte] = (value * (byte + 7)) >>> 13;
  else if (kind === 'zero') bytes.fill(0, at, end);
  else if (kind === 'shift')
    bytes.copyWithin(at, Math.max(0, at - 1 - (value & 15)), Math.max(0, end - 1 - (value & 15)));
  else bytes.fill(value % 2 === 0 ? 0 : 0xff, at & ~3, (at & ~3) + 4);
  return bytes;
}

/** Refs of the nodes of pages in which verify finds no error, and which the file counts and does not call free. */
async function vouchedFor(bytes: Uint8Array): Promise<string[]> {
  const { findings } = await verifyAll(bytes);
  if (findings.some(({ block, severity }) => severity === 'error' && (block ?? 0) === 0)) return [];
  const bad = new Set(findings.filter(({ severity }) => severity !== 'info').map(({ block }) => block));
  return [...original.keys()].filter((ref) => !bad.has(Number(ref.split(':')[0])));
}

test('whatever the damage, nodes reported as sound are those of the file, and the new file has no error', async () => {
  const taken = { sound: 0, doubtful: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
      const bytes = mutations.reduce(mutate, good.slice());
      try {
        const { nodes, errors, summary } = await recoverAll(bytes);
        expect(errors).toEqual([]);
        for (const [ref, { hex, state }] of nodes) {
          if (state === 'sound' && hex !== original.get(ref))
            expect({ ref, hex }).toEqual({ ref, hex: original.get(ref) });
        }
        for (const ref of await vouchedFor(bytes)) if (!nodes.has(ref)) expect([...nodes.keys()]).toContain(ref);
        taken.sound += summary.slots.sound;
        taken.doubtful += summary.slots.doubtful;
      } catch (error) {
        if (!(error instanceof PageStoreError)) throw error;
        expect(error.code).toBe('NOT_A_PAGE_FILE');
      }
    }),
    { numRuns: 40 },
  );
  // Otherwise nothing above was looked at.
  expect(taken.sound).toBeGreaterThan(1000);
  expect(taken.doubtful).toBeGreaterThan(0);
});
