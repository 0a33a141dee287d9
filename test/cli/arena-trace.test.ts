import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type * as Threads from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ConcurrentArena } from '../../src/arena/concurrent-arena.ts';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import { SEGMENT_BYTES } from '../../src/cli/decode/segment.ts';
import { type Encoding, frameOf, type Framing } from '../../src/cli/framing.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { open, PageStore } from '../../src/store/page-store.ts';
import { output, runInProcess } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { makeNodes } from '../support/nodes.ts';

// The decoding threads run what the suite has built: this process has the sources, which a thread cannot load.
vi.mock('node:worker_threads', async (load) => {
  const threads = await load<typeof Threads>();
  const built = new URL('../../dist/bin/decode-worker.js', import.meta.url);
  class Worker extends threads.Worker {
    constructor(_: URL, options: Threads.WorkerOptions) {
      super(built, options);
    }
  }
  return { ...threads, default: threads, Worker };
});

const folder = temporaryFolder();
let files = 0;
const newPath = (): string => join(folder, String(files++));

/** Allocations of all arenas since the last test: those that a reset has ended, and those that are left. */
class Trace {
  readonly #arenas = new Set<EpochArena | ConcurrentArena>();
  #ended = 0;

  constructor() {
    const seen = (arena: EpochArena | ConcurrentArena): void => void this.#arenas.add(arena);
    const ended = (arena: EpochArena | ConcurrentArena): void => {
      seen(arena);
      this.#ended += arena.stats().allocations;
    };
    const { reset, tryAllocate } = EpochArena.prototype; // oxlint-disable-line typescript/unbound-method -- called with its own this
    vi.spyOn(EpochArena.prototype, 'reset').mockImplementation(function (this: EpochArena, epoch) {
      ended(this);
      reset.call(this, epoch);
    });
    vi.spyOn(EpochArena.prototype, 'tryAllocate').mockImplementation(function (this: EpochArena, ...args) {
      seen(this);
      return tryAllocate.apply(this, args);
    });
    const { reset: resetShards, claimsOf } = ConcurrentArena.prototype; // oxlint-disable-line typescript/unbound-method -- called with its own this
    vi.spyOn(ConcurrentArena.prototype, 'reset').mockImplementation(function (this: ConcurrentArena, ...args) {
      ended(this);
      resetShards.apply(this, args);
    });
    vi.spyOn(ConcurrentArena.prototype, 'claimsOf').mockImplementation(function (this: ConcurrentArena, ...args) {
      seen(this);
      return claimsOf.apply(this, args);
    });
  }

  get arenas(): number {
    return this.#arenas.size;
  }

  get allocations(): number {
    return [...this.#arenas].reduce((sum, arena) => sum + arena.stats().allocations, this.#ended);
  }
}

let trace: Trace;
beforeEach(() => (trace = new Trace()));
afterEach(() => vi.restoreAllMocks());

/** Without line feeds and zeros, so that every framing takes them; more than a window and than some segments. */
const NODES: readonly Uint8Array[] = [
  ...makeNodes(6_000, 1, 90, 1),
  ...makeNodes(3, 200_000, 200_000, 2),
  ...makeNodes(500, 0, 0, 3),
  ...makeNodes(6_000, 1, 90, 1),
].map((node) => node.map((byte) => byte | 0x80));

function inputOf(nodes: readonly Uint8Array[], framing: Framing, encoding: Encoding): Buffer {
  return Buffer.concat(
    nodes.flatMap((node) => {
      const text = encoding === 'raw' ? node : Buffer.from(Buffer.from(node).toString(encoding));
      const { before, after } = frameOf(framing, text.length);
      return [before, text, after];
    }),
  );
}

const chunksOf = (bytes: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size));

interface Way {
  readonly framing: Framing;
  readonly encoding: Encoding;
  readonly flags: readonly string[];
  readonly isFile: boolean;
}

const WAYS: readonly Way[] = (['lines', 'nul', 'u32', 'whole'] as const).flatMap((framing) =>
  (['raw', 'hex', 'base64'] as const).flatMap((encoding) =>
    [[], ['--jobs', '2'], ['--batch', '700'], ['--dedupe'], ['--jobs', '2', '--batch', '700', '--dedupe']].flatMap(
      (flags) => [true, false].map((isFile) => ({ framing, encoding, flags, isFile })),
    ),
  ),
);

describe.each(WAYS)(
  'append of $framing in $encoding with $flags, from a file: $isFile',
  ({ framing, encoding, flags, isFile }) => {
    test('puts every node into an arena, once, and from there into a page', async () => {
      const path = newPath();
      await output(['create', path]);
      const nodes = framing === 'whole' ? NODES.slice(6_000, 6_001) : NODES;
      const input = inputOf(nodes, framing, encoding);
      const source = isFile ? ['--input', `${path}.input`] : [];
      if (isFile) writeFileSync(`${path}.input`, input);
      const args = ['append', path, '--framing', framing, '--encoding', encoding, ...flags, ...source];
      // It may tell how far it is, if the machine is slow.
      const { exit, stdout } = await runInProcess(args, isFile ? {} : { stdin: chunksOf(input, 50_001) });
      expect(exit).toBe(0);
      const refs = stdout.toString().split('\n').slice(0, -1);
      expect({ allocations: trace.allocations, refs: refs.length }).toEqual({
        allocations: nodes.length,
        refs: nodes.length,
      });
      const isThreaded = flags.includes('--jobs') && encoding !== 'raw' && framing !== 'whole';
      expect(trace.arenas).toBe(isThreaded && input.length > 2 * SEGMENT_BYTES ? 2 : 1);
      await expectNodes(path, nodes, refs);
    });
  },
);

async function expectNodes(path: string, nodes: readonly Uint8Array[], refs: readonly string[]): Promise<void> {
  await using store = await open(path, { access: 'read' });
  let same = 0;
  for (const [at, ref] of refs.entries()) {
    const [block, slot] = ref.split(':').map(Number) as [number, number];
    if (Buffer.compare(await store.view({ block, slot }), nodes[at]!) === 0) same++;
  }
  expect(same).toBe(nodes.length);
}

test.each(['raw', 'hex', 'base64'] as const)(
  'nodes that are arguments, in %s, go through an arena',
  async (encoding) => {
    const path = newPath();
    await output(['create', path]);
    const nodes = ['a', 'bc', 'def', 'a'].map((each) => Buffer.from(each));
    const texts = nodes.map((node) => (encoding === 'raw' ? node.toString() : node.toString(encoding)));
    const refs = (await output(['append', path, '--encoding', encoding, ...texts])).split('\n').slice(0, -1);
    expect(trace.allocations).toBe(nodes.length);
    await expectNodes(path, nodes, refs);
  },
);

test('two threads have handles for segments of empty nodes alone', async () => {
  const path = newPath();
  await output(['create', path]);
  const count = 6 * SEGMENT_BYTES;
  writeFileSync(`${path}.input`, '\n'.repeat(count));
  const args = ['append', path, '--encoding', 'hex', '--jobs', '2', '--quiet', '--input', `${path}.input`];
  expect((await runInProcess(args)).exit).toBe(0);
  expect(trace.allocations).toBe(count);
});

describe('append of the library', () => {
  test('puts nodes into the arenas of its epochs, once it has them', async () => {
    const store = await PageStore.create(new MemoryBlockFile());
    // The first commit makes the arenas: what came before has memory of its own.
    await store.append(Uint8Array.of(1));
    expect(trace.allocations).toBe(0);
    const nodes = makeNodes(3_000, 0, 500, 4);
    const refs = await Promise.all(nodes.map((node) => store.append(node)));
    for (const node of nodes.slice(0, 20)) await store.append(node);
    expect(trace.allocations).toBe(3_020);
    expect(trace.arenas).toBe(2);
    for (const [at, ref] of refs.entries()) expect(Buffer.compare(await store.read(ref), nodes[at]!)).toBe(0);
  });

  test('stores nodes for which the epoch has no room, from memory of their own', async () => {
    const store = await PageStore.create(new MemoryBlockFile());
    await store.append(Uint8Array.of(1));
    const nodes = makeNodes(50, 200_000, 200_000, 5);
    const refs = await Promise.all(nodes.map((node) => store.append(node)));
    expect(trace.allocations).toBeGreaterThan(0);
    expect(trace.allocations).toBeLessThan(nodes.length);
    for (const [at, ref] of refs.entries()) expect(Buffer.compare(await store.read(ref), nodes[at]!)).toBe(0);
  });
});
