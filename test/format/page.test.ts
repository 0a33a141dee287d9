import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { decodePage, maxNodeBytes, newPageWriter, nodeOf, openPageWriter } from '../../src/format/page.ts';
import { encodeEmptyPageHeader } from '../../src/format/page-header.ts';
import { encodePlannedHeader } from '../../src/format/page-writer.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { pageProblems } from '../../src/format/page-checks.ts';
import type { PageOutlook, PageWriter } from '../../src/format/page-writer.ts';
import { finalizePage } from '../../src/format/page.ts';
import { hexOf, makeNodes } from '../support/nodes.ts';

const FORMATS: PageFormat[] = ['v1', 'v2'];

const blank = (): Uint8Array => new Uint8Array(BLOCK_BYTES);

/** Commits the content of a writer to `file`, the block on the device, and checks that no committed byte changes. */
function commit(writer: PageWriter, file: Uint8Array, outlook: PageOutlook = 'open'): number {
  const before = decodePage(file.slice())!;
  const plan = writer.plan(outlook);
  const head = encodePlannedHeader(writer.format, writer.block, plan);
  let bytes = head.length;
  for (const { start, end } of plan.written) {
    file.set(writer.block.subarray(start, end), start);
    bytes += end - start;
  }
  // The file still has the old header, and what it covers must be unchanged.
  const old = decodePage(file)!;
  expect([...pageProblems(old, 1)]).toEqual([]);
  expect(old.directory.count).toBe(before.directory.count);
  file.set(head);
  writer.block.set(head);
  writer.committed();
  expect([...pageProblems(decodePage(file)!, 1)]).toEqual([]);
  return bytes;
}

function newFilePage(format: PageFormat): { writer: PageWriter; file: Uint8Array } {
  const file = blank();
  file.set(encodeEmptyPageHeader(format));
  return { writer: newPageWriter(format), file };
}

function nodesIn(file: Uint8Array): string[] {
  const page = decodePage(file)!;
  return Array.from({ length: page.directory.count }, (_, slot) => hexOf(nodeOf(page, slot)));
}

describe.each(FORMATS)('a %s page', (format) => {
  test('that is empty has no problems and begins as in libdictenstein', () => {
    const file = blank();
    file.set(encodeEmptyPageHeader(format));
    expect([...pageProblems(decodePage(file)!, 1)]).toEqual([]);
    expect(Buffer.from(file).toString('latin1', 0, 8)).toBe(format === 'v1' ? 'BYTARANA' : 'BYTARAV2');
  });

  test('returns what was added to it, and no commit changes a committed byte', () => {
    const node = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 60_000 }) },
    );
    const batches = fc.array(fc.tuple(fc.array(node, { maxLength: 30 }), fc.boolean()), { maxLength: 12 });
    fc.assert(
      fc.property(batches, (script) => {
        const { writer: first, file } = newFilePage(format);
        let writer = first;
        const model: string[] = [];
        for (const [lengths, reopen] of script) {
          for (const length of lengths) {
            const bytes = new Uint8Array(length).fill(model.length + 1);
            const fits = writer.fits(length);
            expect(writer.add(bytes, 0, length)).toBe(fits);
            if (fits) model.push(hexOf(bytes));
          }
          if (writer.nodeCount > 0) commit(writer, file);
          expect(nodesIn(file)).toEqual(model);
          if (reopen) writer = openPageWriter(decodePage(file.slice())!);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('holds a node of maxNodeBytes, and none that is one byte longer', () => {
    const most = maxNodeBytes(format);
    expect(newFilePage(format).writer.fits(most + 1)).toBe(false);
    const { writer, file } = newFilePage(format);
    const node = new Uint8Array(most).fill(7);
    expect(writer.add(node, 0, most)).toBe(true);
    commit(writer, file, 'full');
    expect(nodeOf(decodePage(file)!, 0)).toEqual(node);
  });

  test('returns all nodes when it is full of 4-byte nodes', () => {
    // libdictenstein does not count the directory of earlier nodes and loses every slot here.
    const { writer, file } = newFilePage(format);
    const node = new Uint8Array(4);
    let count = 0;
    for (const view = new DataView(node.buffer); writer.fits(4); count++) {
      view.setUint32(0, count, true);
      writer.add(node, 0, 4);
    }
    expect(writer.add(node, 0, 4)).toBe(false);
    commit(writer, file, 'full');
    const { header: head, written } = finalizePage(decodePage(file)!);
    expect(written).toBeUndefined();
    file.set(head);
    const page = decodePage(file.slice())!;
    expect([...pageProblems(page, 1)]).toEqual([]);
    expect(page.directory.count).toBe(count);
    expect(count).toBeGreaterThan(format === 'v1' ? 21_800 : 28_000);
    for (let slot = 0; slot < count; slot++) {
      expect(new DataView(nodeOf(page, slot).slice().buffer).getUint32(0, true)).toBe(slot);
    }
  });

  test('accepts empty nodes until their slots fill it', () => {
    const { writer, file } = newFilePage(format);
    while (writer.add(new Uint8Array(0), 0, 0));
    commit(writer, file, 'full');
    // V1: 8 bytes a slot and 64 kept free. V2: one byte for offset 64, one for length 0.
    expect(decodePage(file)!.directory.count).toBe(format === 'v1' ? (BLOCK_BYTES - 128) / 8 : (BLOCK_BYTES - 64) / 2);
  });

  test('filled with one node per commit holds nearly as much as one packed at once', () => {
    for (const [shortest, longest] of [
      [6, 600],
      [6, 24],
      [43, 43],
      [0, 4],
      [0, 0],
      [200, 3000],
    ] as const) {
      const nodes = makeNodes(131_100, shortest, longest, longest);
      const packed = newPageWriter(format);
      let atOnce = 0;
      while (packed.add(nodes[atOnce]!, 0, nodes[atOnce]!.length)) atOnce++;
      const single = newPageWriter(format);
      let oneByOne = 0;
      let bytes = 0;
      let payload = 0;
      for (;;) {
        const node = nodes[oneByOne]!;
        if (!single.add(node, 0, node.length)) break;
        oneByOne++;
        payload += node.length;
        const plan = single.plan('open');
        for (const { start, end } of plan.written) bytes += end - start;
        single.committed();
      }
      expect(oneByOne / atOnce).toBeGreaterThanOrEqual(0.97);
      // Moving a directory writes all of it again, which must stay rare.
      expect(bytes).toBeLessThan(payload + 3 * (BLOCK_BYTES - payload));
    }
  });
});

describe('a V2 page', () => {
  test('written at once has its directory directly after its nodes; an open one has it apart', () => {
    const add = (writer: PageWriter): void =>
      void makeNodes(200, 20, 60).map((node) => writer.add(node, 0, node.length));
    const full = newFilePage('v2');
    add(full.writer);
    commit(full.writer, full.file, 'full');
    const open = newFilePage('v2');
    add(open.writer);
    commit(open.writer, open.file, 'open');
    const [a, b] = [decodePage(full.file)!.header, decodePage(open.file)!.header];
    expect(a.directoryStart).toBe(a.freeOffset);
    expect(b.directoryStart).toBeGreaterThan(BLOCK_BYTES / 2);
    expect(nodesIn(full.file)).toEqual(nodesIn(open.file));
  });

  test('writes only the node and its pair in a commit of one node, while the directory stays', () => {
    const { writer, file } = newFilePage('v2');
    for (const node of makeNodes(1000, 43, 43)) writer.add(node, 0, node.length);
    commit(writer, file);
    commit(writer, file);
    writer.add(new Uint8Array(43), 0, 43);
    expect(commit(writer, file)).toBe(64 + 43 + 4);
  });

  test('that is finalized has its directory directly after its nodes', () => {
    const { writer, file } = newFilePage('v2');
    for (const node of makeNodes(100, 5, 50)) writer.add(node, 0, node.length);
    commit(writer, file);
    const before = nodesIn(file);
    const { header: head, written } = finalizePage(decodePage(file)!);
    expect(written).toBeDefined();
    file.set(head);
    const page = decodePage(file)!;
    expect(page.header.directoryStart).toBe(page.header.freeOffset);
    expect([...pageProblems(page, 1)]).toEqual([]);
    expect(nodesIn(file)).toEqual(before);
  });
});
