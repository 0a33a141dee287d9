import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { FILE_HEADER, ROOT_DESCRIPTOR } from '../../src/format/file-header.ts';
import { ROOT_DESCRIPTOR_OFFSET } from '../../src/format/layout.ts';
import { encodePointer } from '../../src/format/layout.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { type FileRoot, PageFileBuilder } from '../../src/store/page-file-builder.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { jsonLines } from '../support/cli.ts';
import { fileWithFreeList, smallFile, withHeader } from '../support/damage.ts';
import { expectRoundTrip, exported, imported } from '../support/exchange.ts';
import { hexOf, random, text } from '../support/nodes.ts';
import { specNodes } from '../support/spec-reader.ts';

async function built(work: (builder: PageFileBuilder) => Promise<void>): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  await work(await PageFileBuilder.begin(file));
  return file.bytes.slice();
}

/** A file with pages of both formats, some empty and some finalized, and free blocks between and after them. */
async function randomFile(seed: number): Promise<Uint8Array> {
  const next = random(seed);
  return built(async (builder) => {
    for (let pages = Math.floor(next() * 4); pages > 0; pages--) {
      const block = builder.block + (next() < 0.3 ? 1 + Math.floor(next() * 2) : 0);
      await builder.beginPage(next() < 0.5 ? 'v1' : 'v2', block, next() < 0.3 ? 0 : undefined);
      const kind = next();
      const nodes = kind < 0.2 ? 0 : kind < 0.8 ? Math.floor(next() * 40) : Infinity;
      const longest = kind < 0.9 ? 60 : 30_000;
      for (let added = 0; added < nodes; added++) if (!builder.add(randomNode(next, longest))) break;
      await builder.endPage(next() < 0.5, next() < 0.5 ? 'open' : 'full');
    }
    await builder.finish(builder.block + (next() < 0.3 ? 1 + Math.floor(next() * 3) : 0));
  });
}

function randomNode(next: () => number, longest: number): Uint8Array {
  const node = new Uint8Array(Math.floor(next() * (longest + 1)));
  const kind = next();
  for (let at = 0; at < node.length; at++)
    node[at] = kind < 0.5 ? 32 + Math.floor(next() * 95) : Math.floor(next() * 256);
  return node;
}

describe('the import of an export', () => {
  test('has the same nodes at the same refs in the same pages, and the same export, for 40 random files', async () => {
    for (let seed = 1; seed <= 40; seed++) await expectRoundTrip(await randomFile(seed));
  });

  test('keeps free blocks between and after pages', async () => {
    const lines = jsonLines(await expectRoundTrip(await fileWithFreeList()));
    expect(lines.filter(({ type }) => type === 'page').map(({ block }) => block)).toEqual([1, 5, 6]);
    expect(lines.at(-1)).toMatchObject({ freeBlocks: 3 });
  });

  test('keeps nodes with any bytes', async () => {
    const node = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.string({ unit: 'binary', maxLength: 40 }).map(text),
      fc.string({ unit: 'grapheme', maxLength: 40 }).map(text),
    );
    const options = fc.constantFrom(undefined, 'hex' as const, 'base64' as const);
    await fc.assert(
      fc.asyncProperty(
        fc.array(node, { maxLength: 20 }),
        options,
        fc.integer({ min: 1, max: 500 }),
        async (nodes, encoding, cut) => {
          const file = new MemoryBlockFile();
          const store = await PageStore.create(file);
          await store.appendMany(nodes);
          await store.close();
          const lines = await exported(file.bytes.slice(), encoding === undefined ? {} : { encoding });
          const { bytes } = await imported(lines, {}, cut);
          expect(specNodes(bytes).map((found) => hexOf(found.bytes))).toEqual(nodes.map(hexOf));
        },
      ),
      { numRuns: 40 },
    );
  });

  test('keeps the longest nodes of both formats', async () => {
    for (const format of ['v1', 'v2'] satisfies PageFormat[]) {
      const longest = format === 'v1' ? 262_072 : 262_075;
      for (const fill of [0x41, 0x22, 0x00, 0xff]) {
        const file = await built(async (builder) => {
          await builder.beginPage(format, 1, 0);
          expect(builder.add(new Uint8Array(longest).fill(fill))).toBe(true);
          await builder.endPage(false);
          await builder.finish();
        });
        const [only] = jsonLines(await expectRoundTrip(file)).filter(({ type }) => type === 'node');
        expect(Object.keys(only!)).toEqual(['type', 'ref', fill === 0x41 || fill === 0x22 ? 'text' : 'base64']);
        // Longer than a node can be at all; and in hex, where it takes the most characters.
        const lines = await exported(file, { encoding: 'hex' });
        expect((await imported(lines)).report.bytes).toBe(longest);
      }
    }
  });

  test('keeps the root of a trie, and its counts', async () => {
    const root: FileRoot = {
      rootPointer: encodePointer(0, 64, 0),
      rootDescriptor: { rootType: 2, isFinal: 1, termCount: 7, arenaCount: 1, rootRecord: encodePointer(1, 2, 48) },
      entryCount: 2n ** 63n + 5n,
      imageCheckpointLsn: 2n ** 64n - 1n,
    };
    const file = await built(async (builder) => {
      await builder.beginPage('v1');
      for (const node of ['ART\0', 'x', 'y']) builder.add(text(node));
      await builder.endPage(false);
      await builder.finish(2, root);
    });
    const [first] = jsonLines(await expectRoundTrip(file, root));
    expect(first).toEqual({
      type: 'file',
      schema: 1,
      command: 'export',
      blocks: 2,
      rootPointer: root.rootPointer.toString(),
      rootDescriptor: {
        rootType: 2,
        isFinal: 1,
        termCount: 7,
        arenaCount: 1,
        rootRecord: encodePointer(1, 2, 48).toString(),
      },
      entryCount: '9223372036854775813',
      imageCheckpointLsn: '18446744073709551615',
    });
    const { bytes } = await imported(await exported(file));
    expect(ROOT_DESCRIPTOR.read(bytes, ROOT_DESCRIPTOR_OFFSET)).toEqual(root.rootDescriptor);
    // The log of the file is not beside the new one.
    expect(FILE_HEADER.read(bytes).imageCheckpointLsn).toBe(0n);
  });

  test('has no checkpoint number without a root, as its log will begin at 1, and counts its nodes', async () => {
    const file = withHeader(await smallFile('v1'), { imageCheckpointLsn: 9n, entryCount: 0n });
    const { bytes } = await imported(await exported(file));
    // The source had no count; the import counts.
    expect(FILE_HEADER.read(bytes)).toMatchObject({ rootPointer: 0n, entryCount: 20n, imageCheckpointLsn: 0n });
    const [head, ...lines] = jsonLines(await exported(file));
    expect(head).toMatchObject({ imageCheckpointLsn: '9' });
    expect(jsonLines(await exported(bytes)).slice(1)).toEqual(lines);
  });

  test('accepts more nodes later in a page that is not finalized', async () => {
    for (const format of ['v1', 'v2'] satisfies PageFormat[]) {
      const { bytes } = await imported(await exported(await smallFile(format)));
      const store = await PageStore.open(new MemoryBlockFile(bytes));
      expect(await store.append(text('more'))).toEqual({ block: 1, slot: 20 });
      await store.close();
    }
  });
});
