import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { ByteNodeArena, ByteNodeArenaV1, ByteNodeArenaV2, type PageFormat, pageProblems } from '../../src/format.ts';
import { specBlockNodes } from './spec-reader.ts';

/** What a page in memory may have. */
export const PAGE_SIZES = [4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144] as const;

export const newPage = (format: PageFormat, pageBytes?: number): ByteNodeArenaV1 | ByteNodeArenaV2 =>
  format === 'v1' ? new ByteNodeArenaV1(pageBytes) : new ByteNodeArenaV2(pageBytes);

/** A page as a plain array, and the room in it by the rules of docs/format.md. */
class PageModel {
  readonly nodes: Uint8Array[] = [];
  isFinalized = false;
  readonly #format: PageFormat;
  readonly #pageBytes: number;
  #nodesEnd = 64;
  #directoryBytes = 0;

  constructor(format: PageFormat, pageBytes: number) {
    this.#format = format;
    this.#pageBytes = pageBytes;
  }

  #slotBytes(length: number): number {
    return this.#format === 'v1' ? 8 : specVarintBytes(this.#nodesEnd) + specVarintBytes(length);
  }

  fits(length: number): boolean {
    const keptFree = this.#format === 'v1' ? 64 : 0;
    const used = this.#nodesEnd + length + this.#directoryBytes + this.#slotBytes(length) + keptFree;
    return !this.isFinalized && used <= this.#pageBytes;
  }

  add(node: Uint8Array): void {
    this.#directoryBytes += this.#slotBytes(node.length);
    this.#nodesEnd += node.length;
    this.nodes.push(node);
  }

  get sizes(): { nodeBytes: number; directoryBytes: number; freeBytes: number } {
    const freeBytes = this.#pageBytes - this.#nodesEnd - this.#directoryBytes;
    return { nodeBytes: this.#nodesEnd - 64, directoryBytes: this.#directoryBytes, freeBytes };
  }
}

function specVarintBytes(value: number): number {
  return value <= 247 ? 1 : value < 256 ? 2 : value < 65_536 ? 3 : 4;
}

type Step =
  | { readonly kind: 'allocate' | 'fill'; readonly length: number }
  | { readonly kind: 'update' | 'read'; readonly slot: number }
  | { readonly kind: 'bytes' | 'finalize' | 'reload' | 'markClean' };

function stepsOf(pageBytes: number): fc.Arbitrary<readonly Step[]> {
  const length = fc.oneof(
    { weight: 4, arbitrary: fc.nat(80) },
    { weight: 2, arbitrary: fc.nat(pageBytes >> 3) },
    { weight: 1, arbitrary: fc.integer({ min: pageBytes - 200, max: pageBytes }) },
  );
  // Nodes of one byte in the small pages; the tests fill a large one with them once.
  const fill = fc.integer({ min: Math.max(1, pageBytes >> 12), max: pageBytes >> 4 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('allocate' as const), length }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('fill' as const), length: fill }) },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constantFrom('update' as const, 'read' as const), slot: fc.nat(3000) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constantFrom('bytes' as const, 'reload' as const, 'markClean' as const) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('finalize' as const) }) },
  );
  return fc.array(step, { maxLength: 30 });
}

/** Does random things to a page of a random size and to a plain array, and compares the two. */
export function pageProperty(format: PageFormat): fc.IProperty<[{ pageBytes: number; steps: readonly Step[] }]> {
  const scripts = fc
    .constantFrom(...PAGE_SIZES)
    .chain((pageBytes) => fc.record({ pageBytes: fc.constant(pageBytes), steps: stepsOf(pageBytes) }));
  return fc.property(scripts, ({ pageBytes, steps }) => runScript(format, pageBytes, steps));
}

function runScript(format: PageFormat, pageBytes: number, steps: readonly Step[]): void {
  const model = new PageModel(format, pageBytes);
  let page = newPage(format, pageBytes);
  let made = 0;
  let isDirty = true;

  const allocate = (length: number): boolean => {
    const node = nodeOf(length, made++);
    const fits = model.fits(length);
    same(page.canAllocate(length), fits, `canAllocate(${length})`);
    // From the middle of other bytes, which must not get into the page.
    const source = new Uint8Array(length + 7).fill(0xee);
    source.set(node, 3);
    same(page.allocate(source, 3, 3 + length), fits ? model.nodes.length : undefined, `allocate(${length})`);
    if (!fits) return false;
    model.add(node);
    isDirty = true;
    return true;
  };
  for (const step of steps) {
    if (step.kind === 'allocate') allocate(step.length);
    else if (step.kind === 'fill') while (allocate(step.length));
    else if (step.kind === 'read' || step.kind === 'update') {
      if (model.nodes.length === 0) continue;
      const slot = step.slot % model.nodes.length;
      if (step.kind === 'update') {
        const node = nodeOf(model.nodes[slot]!.length, made++);
        page.update(slot, node);
        model.nodes[slot] = node;
        isDirty = true;
      }
      sameBytes(page.read(slot), model.nodes[slot]!, `node ${slot}`);
    } else if (step.kind === 'finalize') {
      isDirty ||= !model.isFinalized;
      page.finalize();
      model.isFinalized = true;
      expectPage(page, model);
    } else if (step.kind === 'markClean') {
      page.markClean();
      isDirty = false;
    } else {
      expectPage(page, model);
      if (step.kind === 'bytes') continue;
      page = ByteNodeArena.from(page.bytes);
      isDirty = false;
    }
    same(page.isDirty, isDirty, `isDirty after ${step.kind}`);
  }
  expectPage(page, model);
  expectPage(ByteNodeArena.from(page.bytes), model);
}

/** Holds a page against the model: by its own methods, by the checks, and as another program reads its bytes. */
function expectPage(page: ByteNodeArenaV1 | ByteNodeArenaV2, model: PageModel): void {
  const { nodes } = model;
  same(page.nodeCount, nodes.length, 'nodeCount');
  same(page.isFinalized, model.isFinalized, 'isFinalized');
  for (const [name, value] of Object.entries(model.sizes)) same(page[name as 'nodeBytes'], value, name);
  const problems = [...pageProblems(page.page, 1)].map(({ message }) => message);
  same(problems.join('\n'), '', 'problems');
  const bytes = Buffer.from(page.bytes);
  const found = specBlockNodes(bytes, 1);
  same(found.length, nodes.length, 'nodes in the bytes');
  for (const [slot, node] of nodes.entries()) {
    sameBytes(found[slot]!.bytes, node, `node ${slot} in the bytes`);
    sameBytes(page.read(slot), node, `node ${slot}`);
    const { start, end } = page.slotRange(slot);
    sameBytes(bytes.subarray(start, end), node, `the range of node ${slot}`);
  }
  same(bytes.readUInt32LE(24), specChecksum(bytes, page.directoryRange), 'checksum');
  if (page.pageFormat === 'v2' && nodes.length > 0) {
    same(page.directoryRange.start, bytes.readUInt32LE(16), 'the start of the directory');
  }
}

/** The checksum by docs/format.md. */
function specChecksum(page: Buffer, directory: { start: number; end: number }): number {
  const header = Buffer.from(page.subarray(0, 64)).fill(0, 24, 28);
  const nodes = page.subarray(64, page.readUInt32LE(16));
  return crc32(Buffer.concat([header, nodes, page.subarray(directory.start, directory.end)]));
}

function nodeOf(length: number, number: number): Uint8Array {
  const node = new Uint8Array(length);
  for (let at = 0; at < length; at++) node[at] = number * 31 + at * 7;
  return node;
}

function same(found: unknown, expected: unknown, what: string): void {
  if (found !== expected) throw new Error(`${what}: ${String(found)}, expected ${String(expected)}`);
}

function sameBytes(found: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(found, expected) !== 0) throw new Error(`${what} has other bytes`);
}
