import { inspect, types } from 'node:util';
import { runInNewContext } from 'node:vm';
import * as arena from 'artrie-pages/arena';
import * as format from 'artrie-pages/format';
import * as index from 'artrie-pages';
import * as testing from 'artrie-pages/testing';
import { afterAll, describe, expect, test } from 'vitest';
import { expectSameBytes } from '../support/files.ts';
import { trieBytes } from '../support/tries.ts';

const { BLOCK_BYTES, DiskManager, open, PageRef, PageStore } = index;
const { FaultyBlockFile, MemoryBlockFile, MemoryJournal } = testing;

/** Wrong for every parameter, unless a call lists what it takes. */
const WRONG: readonly unknown[] = [
  undefined,
  null,
  'text',
  NaN,
  1.5,
  -1,
  2 ** 53,
  5n,
  {},
  [],
  true,
  new ArrayBuffer(8),
  detached(),
];

function detached(): Uint8Array {
  const bytes = new Uint8Array(64);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

/** What a parameter takes of {@link WRONG}. */
type Takes = readonly ((value: unknown) => boolean)[];

const nothing = (value: unknown): boolean => value === undefined;
const text = (value: unknown): boolean => typeof value === 'string';
/** As other errors do. */
const anything = (): boolean => true;
const flag = (value: unknown): boolean => typeof value === 'boolean';
const plainObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
/** The answer is `BLOCK_RANGE`, as for any block that the file does not have. */
const noBlock = (value: unknown): boolean => value === -1;
/** The answer is undefined, as for a ref that the file does not have: the fast way has no further checks. */
const anyObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
const options: Takes = [nothing, plainObject];

const other = runInNewContext('({ Uint8Array, Uint32Array, Array, Object })') as {
  readonly [Type in 'Uint8Array' | 'Uint32Array' | 'Array' | 'Object']: (typeof globalThis)[Type];
};

/** The same value as code of another realm makes it, as tests of jest and jsdom do. */
function ofOtherRealm(value: unknown): unknown {
  if (types.isUint8Array(value)) return new other.Uint8Array(value);
  if (types.isUint32Array(value)) return new other.Uint32Array(value);
  if (Array.isArray(value)) return other.Array.from(value, ofOtherRealm);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return other.Object.fromEntries(Object.entries(value).map(([name, field]) => [name, ofOtherRealm(field)]));
}

interface Call {
  readonly name: string;
  /** Each parameter, and the wrong values that it takes. */
  readonly parameters: Readonly<Record<string, Takes>>;
  readonly valid: readonly unknown[];
  readonly run: (...args: never[]) => unknown;
}

/** A call with arguments of any type. */
const call = (
  name: string,
  parameters: Readonly<Record<string, Takes>>,
  valid: readonly unknown[],
  run: (...args: never[]) => unknown,
): Call => ({ name, parameters, valid, run });

const file = new MemoryBlockFile();
const store = await index.create(file, { pageFormat: 'v1' });
await store.append(new Uint8Array(4));
await store.append(new Uint8Array(4));
const page = await store.readPage(1);
await store.close();
const kept = file.bytes.slice();
const copy = (): index.BlockFile => new MemoryBlockFile(kept.slice());

const reader = await open(copy(), { access: 'read' });
const trieReader = await open(new MemoryBlockFile(trieBytes('real', 'five')), { access: 'read' });
const trie = await index.openTrie(trieReader);
const disk = await DiskManager.open(copy(), 'write');
const writer = await open(copy());
/** Keeps what is staged. */
const stager = await open(copy());
const verifier = new index.Verifier();
afterAll(() => verifier.close());

const NODE = Uint8Array.of(1, 2, 3, 4);
const REF = { block: 1, slot: 0 };
const keys = new arena.EpochArena({ maxBlocks: 1 });
const key = keys.allocateCopy(NODE);
const head = kept.slice(BLOCK_BYTES, BLOCK_BYTES + 64);
const replaced = { block: 1, head, oldHead: head };
const image = kept.slice(BLOCK_BYTES, 2 * BLOCK_BYTES);
const imageV2 = new format.ByteNodeArenaV2().bytes.slice();
const overwrite = { block: 1, image, bytes: new Uint8Array(4), changed: { start: 64, end: 68 }, head };
const CSV = Buffer.from('a\n1\n');
const filled = new format.ByteNodeArenaV1();
filled.allocate(NODE);
const NOWHERE = '/nowhere/file.part';
const fileHeader = format.FILE_HEADER.read(kept);
const bytesOrNothing: Takes = [nothing];
/** Iterables without an element of a wrong type. */
const iterable = (value: unknown): boolean => Array.isArray(value);

const INDEX: readonly Call[] = [
  call('create', { file: [text], options }, [new MemoryBlockFile(), {}], (target, given) =>
    index.create(typeof target === 'string' ? NOWHERE : target, given),
  ),
  call('open', { file: [text], options }, [copy(), {}], (source, given) =>
    open(typeof source === 'string' ? NOWHERE : source, given),
  ),
  call('stat', { file: [text], options }, [copy(), {}], index.stat),
  call('verify', { file: [text], options }, [copy(), {}], index.verify),
  call(
    'recover',
    { source: [text], target: [text], options },
    [copy(), new MemoryBlockFile(), {}],
    (source, target, given) =>
      index.recover(
        source,
        typeof target === 'string' ? NOWHERE : isUsed(target) ? new MemoryBlockFile() : target,
        given,
      ),
  ),
  call('repair', { file: [text], options: [plainObject] }, [copy(), { dryRun: true }], (target, given) =>
    index.repair(target, plainObject(given) ? { dryRun: true } : given),
  ),
  call('undoRepair', { file: [text], undo: [text], options }, [NOWHERE, NOWHERE, {}], index.undoRepair),
  call(
    'compact',
    { source: [text], target: [text], options },
    [copy(), new MemoryBlockFile(), {}],
    (source, target, given) =>
      index.compact(
        source,
        typeof target === 'string' ? NOWHERE : isUsed(target) ? new MemoryBlockFile() : target,
        given,
      ),
  ),
  call('compactInPlace', { path: [text], options }, [NOWHERE, {}], index.compactInPlace),
  call('diff', { a: [text], b: [text], options }, [copy(), copy(), {}], index.diff),
  call('exportNodes', { source: [text], options }, [copy(), {}], (source, given) =>
    index.exportNodes(source, given).next(),
  ),
  call(
    'importNodes',
    { lines: [iterable], target: [text], options },
    [[Buffer.from('{"type":"node","text":"a"}\n')], new MemoryBlockFile(), {}],
    (lines, target, given) =>
      index.importNodes(
        iterable(lines) && (lines as []).length === 0
          ? ([Buffer.from('{"type":"node","text":"a"}\n')] as never)
          : lines,
        typeof target === 'string' ? NOWHERE : isUsed(target) ? new MemoryBlockFile() : target,
        given,
      ),
  ),
  call(
    'importCsv',
    { rows: [iterable], target: [text], options: [] },
    [[CSV], new MemoryBlockFile(), { table: 't' }],
    (rows, target, given) =>
      index.importCsv(
        iterable(rows) && (rows as []).length === 0 ? ([CSV] as never) : rows,
        typeof target === 'string' ? NOWHERE : isUsed(target) ? new MemoryBlockFile() : target,
        given,
      ),
  ),
  call('importCsv with a table', { table: [text] }, ['t'], (table) =>
    index.importCsv([CSV], new MemoryBlockFile(), { table }),
  ),
  ...(['keyAt', 'blockAt', 'slotAt'] as const).map((name) =>
    call(`KeyRefs.${name} of importCsv`, { entry: [] }, [0], (entry) => withKeys((refs) => refs[name](entry))),
  ),
  call('KeyRefs.refOf of importCsv', { source: [] }, [NODE], (bytes) => withKeys((refs) => refs.refOf(bytes))),
  call('findKeys', { store: [], keys: [iterable], options }, [reader, ['t/1/a'], {}], (of, wanted, given) =>
    index.findKeys(of, wanted, given),
  ),
  call('findKeys with a key', { keys: [text] }, ['t/1/a'], (wanted) => index.findKeys(reader, [wanted])),
  call('openTrie', { store: [] }, [trieReader], index.openTrie),
  call('Trie.terms of openTrie', { options }, [{}], (given) => trie.terms(given).next()),
  call('Trie.lookup of openTrie', { term: [] }, [NODE], (term) => trie.lookup(term)),
  call('openBlockFile', { path: [text], access: [], options }, [NOWHERE, 'read', {}], index.openBlockFile),
  call(
    'createBlockFile',
    { path: [text], replace: [flag], fill: [], options },
    [NOWHERE, false, async () => undefined, {}],
    (path, ...rest) =>
      index.createBlockFile(typeof path === 'string' ? NOWHERE : path, ...(rest as unknown as [never, never, never])),
  ),
  call('formatRef', { ref: [] }, [REF], index.formatRef),
  call('parseRef', { text: [] }, ['1:0'], (value) =>
    index.parseRef(value === ('text' as never) ? (1 as never) : value),
  ),
  call('nodeOf', { page: [], slot: [] }, [page, 0], index.nodeOf),
  call('nodesOf', { page: [] }, [page], (of) => [...index.nodesOf(of)]),
  call('isLostSlot', { page: [], slot: [] }, [page, 0], index.isLostSlot),
  call('new PageRef', { block: [], slot: [] }, [1, 0], (block, slot) => new PageRef(block, slot)),
  call(
    'new PageStoreError',
    { code: [anything], message: [anything], detail: [anything] },
    ['IO', 'message', {}],
    (code, message, detail) => new index.PageStoreError(code, message, detail),
  ),
  call('new Verifier', { options }, [{}], (given) => new index.Verifier(given)),
  call('Verifier.verify', { path: [text], options }, [NOWHERE, {}], (path, given) => verifier.verify(path, given)),
];

/** What `use` does with the keys of an import. */
async function withKeys(use: (refs: index.KeyRefs) => unknown): Promise<void> {
  await index.importCsv([CSV], new MemoryBlockFile(), { table: 't', onKeys: (refs) => void use(refs) });
}

/** The one target of a table entry is full after its first use. */
function isUsed(target: unknown): boolean {
  return target instanceof MemoryBlockFile;
}

const STORE: readonly Call[] = [
  call('append', { node: [] }, [NODE], (node) => writer.append(node)),
  call('appendMany', { nodes: [iterable] }, [[NODE]], (nodes) => writer.appendMany(nodes)),
  call('appendMany with lengths', { nodes: [], lengths: [] }, [NODE, [4]], (nodes, given) =>
    writer.appendMany(nodes, given),
  ),
  call('appendFrom', { arena: [], handles: [iterable] }, [keys, [key]], (from, handles) =>
    writer.appendFrom(from, handles),
  ),
  call('addPage', { arena: [] }, [filled], (of) => writer.addPage(of)),
  call('page', { block: [] }, [1], (block) => reader.page(block)),
  call('assertBlock', { block: [] }, [1], (block) => writer.assertBlock(block)),
  call('allocate', { count: [], pageFormat: [nothing] }, [1, 'v1'], (count, pageFormat) =>
    writer.allocate(count, pageFormat),
  ),
  call('finalize', { options }, [{}], (given) => reader.finalize(given)),
  call('free', { block: [] }, [1], (block) => reader.free(block)),
  call('makeRoom', { nodeBytes: [] }, [4], (nodeBytes) => writer.makeRoom(nodeBytes)),
  call('pages', { options }, [{}], (given) => reader.pages(given)),
  call('read', { ref: [] }, [REF], (ref) => reader.read(ref)),
  call('readPage', { block: [] }, [1], (block) => reader.readPage(block)),
  call('stage', { source: [], start: [nothing], end: [nothing] }, [NODE, 0, 4], (source, start, end) =>
    stager.stage(source, start, end),
  ),
  call('stage of an arena', { source: [], handle: [] }, [keys, key], (from, handle) => stager.stage(from, handle)),
  call('stageFrom', { arena: [], handles: [], from: [], to: [] }, [keys, [key], 0, 1], (from, handles, first, to) =>
    stager.stageFrom(from, handles, first, to),
  ),
  call(
    'stageMany',
    { source: [], start: [], lengths: [], from: [], to: [] },
    [NODE, 0, Uint32Array.of(4), 0, 1],
    (source, start, given, from, to) => stager.stageMany(source, start, given, from, to),
  ),
  call('tryRead', { ref: [anyObject] }, [REF], (ref) => reader.tryRead(ref)),
  call('tryView', { ref: [anyObject] }, [REF], (ref) => reader.tryView(ref)),
  call('update', { ref: [], node: [] }, [REF, NODE], (ref, node) => reader.update(ref, node)),
  call('view', { ref: [] }, [REF], (ref) => reader.view(ref)),
].map((each) => ({ ...each, name: `PageStore.${each.name}` }));

const block = new Uint8Array(BLOCK_BYTES);

const DISK: readonly Call[] = [
  call('open', { file: [], access: [] }, [copy(), 'read'], DiskManager.open.bind(DiskManager)),
  call('read', { block: [noBlock], target: [], offset: [nothing] }, [1, new Uint8Array(4), 0], (id, target, offset) =>
    disk.read(id, target, offset),
  ),
  call('readStable', { block: [noBlock], target: [], isValid: [] }, [1, block, () => true], (id, target, isValid) =>
    disk.readStable(id, target, isValid),
  ),
  call('write', { block: [], source: [], offset: [nothing] }, [1, NODE, 100_000], (id, source, offset) =>
    disk.write(id, source, offset === undefined ? 100_000 : offset),
  ),
  call('lengthen', { blocks: [] }, [1], (blocks) => disk.lengthen(blocks)),
  call('truncateOnFailure', { work: [] }, [async (): Promise<void> => undefined], (work) =>
    disk.truncateOnFailure(work),
  ),
  call('commit', { commit: [plainObject] }, [{}], (commit) => disk.commit(commit)),
  call(
    'commit with fields',
    { changed: [nothing], added: [nothing], firstFree: [nothing], nodes: [nothing, (value) => value === -1] },
    [replaced, undefined, undefined, 0],
    (changed, added, firstFree, nodes) => disk.commit({ changed, added, firstFree, nodes }),
  ),
  call('commit with a changed head', { block: [], head: [], oldHead: [] }, [1, head, head], (id, newHead, oldHead) =>
    disk.commit({ changed: { block: id, head: newHead, oldHead } }),
  ),
  call('commitHeads', { heads: [iterable] }, [[replaced]], (heads) => disk.commitHeads(heads)),
  call('commitHeads with a head', { block: [], head: [], oldHead: [] }, [1, head, head], (id, newHead, oldHead) =>
    disk.commitHeads([{ block: id, head: newHead, oldHead }]),
  ),
  call('overwrite', { change: [] }, [overwrite], (change) => disk.overwrite(change)),
  call(
    'overwrite with fields',
    { block: [], image: [], bytes: [], changed: [], head: [] },
    [1, image, NODE, { start: 64, end: 68 }, head],
    (id, before, bytes, changed, newHead) =>
      disk.overwrite({ block: id, image: before, bytes, changed, head: newHead }),
  ),
  call('allocate', { count: [], pageFormat: [nothing] }, [1, 'v1'], (count, pageFormat) =>
    disk.allocate(count, pageFormat),
  ),
  call('takeFreeBlock', { pageFormat: [] }, ['v1'], (pageFormat) => disk.takeFreeBlock(pageFormat)),
  call('free', { block: [noBlock], nodes: [nothing] }, [2, 0], (id, nodes) => disk.free(id, nodes)),
  call('assertBlock', { block: [noBlock] }, [1], (id) => disk.assertBlock(id)),
].map((each) => ({ ...each, name: `DiskManager.${each.name}` }));

/** In a call with all fields of a record at once, errors name the field. */
const FORMAT: readonly Call[] = [
  call('decodeFreeLink', { link: [(value) => value === 5n] }, [0n], format.decodeFreeLink),
  call('decodePointer', { pointer: [(value) => value === 5n] }, [0n], format.decodePointer),
  call('encodeFreeLink', { block: [] }, [1], format.encodeFreeLink),
  call('encodePointer', { block: [], slot: [], nodeType: [] }, [1, 0, 4], format.encodePointer),
  call('fileOffset', { block: [], offset: [nothing] }, [1, 0], format.fileOffset),
  call('fileHeaderChecksum', { header: [] }, [fileHeader], format.fileHeaderChecksum),
  call('decodeCommitRecord', { bytes: [], offset: [nothing] }, [kept, 4096], format.decodeCommitRecord),
  call('pageFormatOf', { block: [] }, [head], format.pageFormatOf),
  call('decodePage', { block: [], scratch: [nothing] }, [image, new format.DirectoryScratch()], format.decodePage),
  call('maxNodeBytes', { format: [] }, ['v1'], format.maxNodeBytes),
  call('pageProblems', { page: [], blockId: [] }, [page, 1], (of, id) => [...format.pageProblems(of, id)]),
  call('fileHeaderProblems', { header: [] }, [fileHeader], (header) => [...format.fileHeaderProblems(header)]),
  call('fileSizeProblems', { header: [], fileBytes: [] }, [fileHeader, 2 * BLOCK_BYTES], (header, bytes) => [
    ...format.fileSizeProblems(header, bytes),
  ]),
  call('fileHeaderRegions', { block0: [] }, [kept.slice(0, BLOCK_BYTES)], (bytes) => [
    ...format.fileHeaderRegions(bytes),
  ]),
  call('pageRegions', { page: [], blockId: [] }, [page, 1], (of, id) => [...format.pageRegions(of, id)]),
  ...[format.ByteNodeArena, format.ByteNodeArenaV1, format.ByteNodeArenaV2].flatMap((type) => [
    call(
      `${type.name}.from`,
      { bytes: [], options },
      [type === format.ByteNodeArenaV2 ? imageV2 : image, {}],
      (bytes, given) => type.from(bytes, given),
    ),
    call(`${type.name}.from with options`, { unchecked: [nothing, flag] }, [true], (unchecked) =>
      type.from(image, { unchecked }),
    ),
  ]),
  ...[format.ByteNodeArenaV1, format.ByteNodeArenaV2].flatMap((type) => {
    const { name } = type;
    const target = new type();
    target.allocate(NODE);
    return [
      call(`new ${name}`, { pageBytes: [nothing] }, [4096], (pageBytes) => new type(pageBytes)),
      call(`ByteNodeArena.canAllocate of ${name}`, { length: [] }, [4], (length) => target.canAllocate(length)),
      call(
        `ByteNodeArena.allocate of ${name}`,
        { source: [], start: [nothing], end: [nothing] },
        [NODE, 0, 4],
        (source, start, end) => target.allocate(source, start, end),
      ),
      call(`ByteNodeArena.read of ${name}`, { slot: [] }, [0], (slot) => target.read(slot)),
      call(`ByteNodeArena.update of ${name}`, { slot: [], bytes: [] }, [0, NODE], (slot, bytes) =>
        target.update(slot, bytes),
      ),
      call(`ByteNodeArena.slotRange of ${name}`, { slot: [] }, [0], (slot) => target.slotRange(slot)),
      call(`ByteNodeArena.entryRange of ${name}`, { slot: [] }, [0], (slot) => target.entryRange(slot)),
    ];
  }),
  call('V2_SLOT.bytesOf', { offset: [], length: [] }, [64, 4], (offset, length) =>
    format.V2_SLOT.bytesOf(offset, length),
  ),
  call('V2_SLOT.read', { bytes: [], at: [] }, [NODE, 0], (bytes, at) => format.V2_SLOT.read(bytes, at)),
  call(
    'V2_SLOT.write',
    { slot: [], target: [], at: [] },
    [{ offset: 64, length: 4 }, new Uint8Array(8), 0],
    (...args) => format.V2_SLOT.write(...(args as unknown as [never, never, never])),
  ),
  call('V2_SLOT.write with fields', { offset: [], length: [] }, [64, 4], (offset, length) =>
    format.V2_SLOT.write({ offset, length }, new Uint8Array(8), 0),
  ),
  call('maxNodeBytes with a size', { pageBytes: [nothing] }, [4096], (pageBytes) =>
    format.maxNodeBytes('v1', pageBytes),
  ),
  call('DirectoryScratch.reserve', { slots: [] }, [1], (slots) => new format.DirectoryScratch().reserve(slots)),
];

const TESTING: readonly Call[] = [
  call(
    'new MemoryBlockFile',
    { bytes: bytesOrNothing, name: [nothing, text] },
    [new Uint8Array(4), 'name'],
    (bytes, name) => new MemoryBlockFile(bytes, name),
  ),
  call('MemoryBlockFile.read', { target: [], position: [] }, [new Uint8Array(4), 0], (target, position) =>
    new MemoryBlockFile().read(target, position),
  ),
  call('MemoryBlockFile.write', { source: [], position: [] }, [NODE, 0], (source, position) =>
    new MemoryBlockFile().write(source, position),
  ),
  call('MemoryBlockFile.truncate', { bytes: [] }, [4], (bytes) => new MemoryBlockFile().truncate(bytes)),
  call('MemoryJournal.write', { bytes: [] }, [NODE], (bytes) => new MemoryJournal().write(bytes)),
  call('new FaultyBlockFile', { file: [nothing] }, [copy()], (of) => new FaultyBlockFile(of)),
  call('FaultyBlockFile.fail', { options }, [{}], (fault) => new FaultyBlockFile().fail(fault)),
  call('FaultyBlockFile.count', { kind: [] }, ['sync'], (kind) => new FaultyBlockFile().count(kind)),
  call('FaultyBlockFile.read', { target: [], position: [] }, [new Uint8Array(4), 0], (target, position) =>
    new FaultyBlockFile().read(target, position),
  ),
  call('FaultyBlockFile.write', { source: [], position: [] }, [NODE, 0], (source, position) =>
    new FaultyBlockFile().write(source, position),
  ),
  call('FaultyBlockFile.truncate', { bytes: [] }, [4], (bytes) => new FaultyBlockFile().truncate(bytes)),
];

const errorOf = async (work: () => unknown): Promise<unknown> => {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return undefined;
};

const CALLS = [...INDEX, ...STORE, ...DISK, ...FORMAT, ...TESTING];
const MOST_FREE = new Set(['undoRepair', 'openBlockFile', 'createBlockFile', 'Verifier.verify']);
const isMisuse = (error: unknown): boolean => error instanceof TypeError || error instanceof RangeError;

describe.each(CALLS)('$name', ({ name, parameters, valid, run }) => {
  const apply = async (args: readonly unknown[]): Promise<unknown> => errorOf(() => run(...(args as never[])));

  test.each([
    ['', valid],
    [' of another realm', valid.map(ofOtherRealm)],
  ])('accepts right arguments%s', async (_title, args) => {
    const error = await apply(args);
    // A file that does not exist, a store that only reads.
    if (error !== undefined)
      expect({ name, error: inspect(error), isMisuse: isMisuse(error) }).toMatchObject({ isMisuse: false });
    expect(error instanceof index.PageStoreError || error === undefined || MOST_FREE.has(name)).toBe(true);
  });

  test.each(Object.keys(parameters))('refuses a wrong %s by its name', async (parameter) => {
    const at = Object.keys(parameters).indexOf(parameter);
    const takes = parameters[parameter] ?? [];
    const accepted: string[] = [];
    for (const wrong of WRONG) {
      if (takes.some((accepts) => accepts(wrong))) continue;
      const error = await apply(valid.with(at, wrong));
      const isNamed = isMisuse(error) && new RegExp(`\\b${parameter}\\b`).test(String(error));
      if (!isNamed) accepted.push(`${name}, ${parameter}: ${inspect(wrong)}: ${String(error)}`);
    }
    expect(accepted).toEqual([]);
  });
});

test('no wrong argument has changed a file that was only read', () => {
  expectSameBytes(file.bytes, kept);
});

/** Functions and classes of the public modules; those of the arena have a table of their own, test/arena/arguments. */
const EXPORTS = { ...index, ...format, ...testing };

test('the table has every exported function with a parameter, and every class', () => {
  const names = new Set(CALLS.map(({ name }) => name.split(' of ')[0]?.split(' with ')[0] ?? name));
  const missing = Object.entries(EXPORTS)
    .filter(([, value]) => typeof value === 'function' && (value as (...args: never[]) => unknown).length >= 0)
    .filter(([name, value]) => !names.has(name) && !names.has(`new ${name}`) && !isWithoutParameters(name, value))
    .map(([name]) => name);
  // Their constructors are not public; `open` and `create` make them.
  // `ByteNodeArena` is the abstract class of two others.
  expect(missing.toSorted()).toEqual(['ByteNodeArena', 'DiskManager', 'PageStore']);
});

const isWithoutParameters = (name: string, value: unknown): boolean =>
  ['DirectoryScratch', 'MemoryJournal'].includes(name) && (value as { readonly length: number }).length === 0;

test('the table has every public method with a parameter', () => {
  const names = new Set(CALLS.map(({ name }) => name.split(' of ')[0]?.split(' with ')[0] ?? name));
  const classes = [
    PageStore,
    DiskManager,
    PageRef,
    index.Verifier,
    MemoryBlockFile,
    MemoryJournal,
    FaultyBlockFile,
    format.DirectoryScratch,
    format.ByteNodeArena,
    format.ByteNodeArenaV1,
    format.ByteNodeArenaV2,
  ];
  const all = Object.values(EXPORTS).filter(
    (value) => typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value)),
  );
  expect(new Set(all.filter((each) => each !== index.PageStoreError))).toEqual(new Set(classes));
  const methods = classes.flatMap((each) =>
    [
      ...Object.entries(Object.getOwnPropertyDescriptors(each.prototype)),
      ...Object.entries(Object.getOwnPropertyDescriptors(each)),
    ]
      .filter(([name, { value }]) => typeof value === 'function' && name !== 'constructor' && name !== 'prototype')
      .filter(([, { value }]) =>
        /^(?:static )?(?:async )?\*?\w+\(\s*[^)\s]/.test(Function.prototype.toString.call(value)),
      )
      .map(([name]) => `${each.name}.${name}`),
  );
  // Marked @internal, and not in the type declarations.
  const internal = [
    'PageStore.open',
    'PageStore.create',
    'PageStore.stageRanges',
    'PageStore.assertHarmless',
    'DiskManager.writeUncopied',
    'DiskManager.assertAllPages',
    'DiskManager.stampOf',
    'DiskManager.takeUpDigest',
    'ByteNodeArena.load',
  ];
  expect(methods.length).toBeGreaterThan(40);
  expect(methods.filter((name) => !names.has(name) && !internal.includes(name))).toEqual([]);
});

test('every class and function of the arena module is in its own table', () => {
  const functions = Object.entries(arena).filter(([, value]) => typeof value === 'function');
  expect(functions.map(([name]) => name).toSorted()).toEqual([
    'ArenaPool',
    'BatchKeyGenerator',
    'ConcurrentArena',
    'EpochArena',
    'InternedTablePrefix',
    'KeyArena',
    'KeyBuffer',
    'KeyHandle',
    'KeyMap',
    'NodeRanges',
    'WorkerArena',
    'withArena',
  ]);
});
