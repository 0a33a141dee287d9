import {
  compact,
  create,
  createBlockFile,
  diff,
  DiskManager,
  exportNodes,
  formatRef,
  importNodes,
  open,
  openBlockFile,
  PageRef,
  type PageStore,
  parseRef,
  recover,
  repair,
  stat,
  undoRepair,
  verify,
} from 'artrie-pages';
import { EpochArena } from 'artrie-pages/arena';
import { ByteNodeArenaV1, ByteNodeArenaV2 } from 'artrie-pages/format';
import { MemoryBlockFile } from 'artrie-pages/testing';
import { describe, expect, test } from 'vitest';
import { expectSameBytes } from '../support/files.ts';
import { text } from '../support/nodes.ts';

// What a program without types may pass.

const NOT_BYTES = [undefined, null, 5, 'x', {}, [1, 2], new ArrayBuffer(1)];
const NOT_A_WHOLE_NUMBER = [undefined, null, 'x', 1.5, -1, NaN, {}];
const NOT_A_REF = [undefined, null, 5, 'x', {}, ...NOT_A_WHOLE_NUMBER.flatMap((wrong) => refsWith(wrong))];
const NOT_A_FILE = [undefined, null, 5, NaN, {}, [], new Uint8Array(8)];
const NOT_OPTIONS = [null, 5, 'x', [], { colour: true }];
const NOT_A_FORMAT = [null, 5, 'x', 'V1', NaN, {}];
const NOT_A_BOOLEAN = [null, 5, 'x', {}];
const NOT_A_FUNCTION = [null, 5, 'x', {}];
const NOT_A_SIGNAL = [null, 5, 'x', {}, () => undefined];
const NOT_A_COUNT = [null, 'x', 0, 1.5, -1, NaN, {}];
const ARENA = new EpochArena({ maxBlocks: 1 });
const HANDLE = ARENA.allocateCopy(text('a'));
const NOT_AN_ARENA = [undefined, null, 5, 'x', {}, [], new Uint8Array(8), new Map()];
const NOT_A_HANDLE = [undefined, null, 'x', String(HANDLE), 1.5, -1, NaN, {}, HANDLE + 1, HANDLE - 1];
const NOT_BYTE_COUNTS = [null, 'x', -1, NaN, {}];

function refsWith(wrong: unknown): unknown[] {
  return [
    { block: wrong, slot: 0 },
    { block: 1, slot: wrong },
  ];
}

/** One parameter or option, and a call that passes a value for it. */
type Case<Subject> = readonly [
  name: string,
  wrong: readonly unknown[],
  call: (subject: Subject, value: never) => unknown,
];

/** Calls a function with each wrong value: the error is of the caller, and names the parameter. */
async function expectRefusals<Subject>([name, wrong, call]: Case<Subject>, subject: Subject): Promise<void> {
  for (const value of wrong) {
    let error: unknown;
    try {
      await call(subject, value as never);
    } catch (thrown) {
      error = thrown;
    }
    const isMisuse = error instanceof TypeError || error instanceof RangeError;
    const parameter = name.replace(/^.* /, '');
    expect({ value, isMisuse, error: String(error) }).toEqual({
      value,
      isMisuse: true,
      error: expect.stringContaining(parameter),
    });
  }
}

const METHODS: readonly Case<PageStore>[] = [
  ['append node', NOT_BYTES, (store, node) => store.append(node)],
  ['appendMany nodes', [undefined, null, 5, 'x', {}], (store, nodes) => store.appendMany(nodes)],
  ['appendMany nodes', NOT_BYTES, (store, node) => store.appendMany([text('a'), node])],
  ['appendMany nodes', NOT_BYTES, (store, nodes) => store.appendMany(nodes, [1])],
  ['appendMany lengths', [undefined, null, 5, 'x', {}], (store, lengths) => store.appendMany(text('a'), lengths)],
  ['appendMany lengths', [[1.5], [-1], [NaN], [2]], (store, lengths) => store.appendMany(text('a'), lengths)],
  ['appendMany handles', [undefined, null, 5, 'x', {}], (store, handles) => store.appendMany(ARENA, handles)],
  ['appendMany handle', NOT_A_HANDLE, (store, handle) => store.appendMany(ARENA, [HANDLE, handle])],
  ['appendFrom arena', NOT_AN_ARENA, (store, arena) => store.appendFrom(arena, [HANDLE])],
  ['appendFrom handles', [undefined, null, 5, 'x', {}], (store, handles) => store.appendFrom(ARENA, handles)],
  ['appendFrom handle', NOT_A_HANDLE, (store, handle) => store.appendFrom(ARENA, [HANDLE, handle])],
  ['stage handle', NOT_A_HANDLE.slice(1), (store, handle) => store.stage(ARENA, handle)],
  ['stageFrom arena', NOT_AN_ARENA, (store, arena) => store.stageFrom(arena, [HANDLE], 0, 1)],
  ['stageFrom handles', [undefined, null, 5, 'x', {}], (store, handles) => store.stageFrom(ARENA, handles, 0, 1)],
  ['stageFrom handle', NOT_A_HANDLE, (store, handle) => store.stageFrom(ARENA, [handle], 0, 1)],
  ['stageFrom from', NOT_A_WHOLE_NUMBER.slice(1), (store, from) => store.stageFrom(ARENA, [HANDLE], from, 1)],
  ['stageFrom from', [2], (store, from) => store.stageFrom(ARENA, [HANDLE], from, 1)],
  ['stageFrom to', [...NOT_A_WHOLE_NUMBER.slice(1), 2], (store, to) => store.stageFrom(ARENA, [HANDLE], 0, to)],
  ['stage source', NOT_BYTES, (store, source) => store.stage(source)],
  ['stage start', [null, 'x', 1.5, -1, NaN, {}, 9], (store, start) => store.stage(text('ab'), start)],
  ['stage end', [null, 'x', 1.5, -1, NaN, {}, 9], (store, end) => store.stage(text('ab'), 0, end)],
  ['stageMany source', NOT_BYTES, (store, source) => store.stageMany(source, 0, Uint32Array.of(1), 0, 1)],
  ['stageMany start', NOT_A_WHOLE_NUMBER, (store, start) => store.stageMany(text('a'), start, Uint32Array.of(1), 0, 1)],
  ['stageMany lengths', [undefined, null, 5, 'x', {}, [1]], (store, all) => store.stageMany(text('a'), 0, all, 0, 1)],
  ['stageMany from', NOT_A_WHOLE_NUMBER, (store, from) => store.stageMany(text('a'), 0, Uint32Array.of(1), from, 1)],
  ['stageMany to', NOT_A_WHOLE_NUMBER, (store, to) => store.stageMany(text('a'), 0, Uint32Array.of(1), 0, to)],
  ['makeRoom nodeBytes', NOT_A_WHOLE_NUMBER, (store, nodeBytes) => store.makeRoom(nodeBytes)],
  ['read ref', NOT_A_REF, (store, ref) => store.read(ref)],
  ['view ref', NOT_A_REF, (store, ref) => store.view(ref)],
  ['tryRead ref', [undefined, null, 5, 'x'], (store, ref) => store.tryRead(ref)],
  ['tryView ref', [undefined, null, 5, 'x'], (store, ref) => store.tryView(ref)],
  ['update ref', NOT_A_REF, (store, ref) => store.update(ref, text('new'))],
  ['update node', NOT_BYTES, (store, node) => store.update({ block: 1, slot: 0 }, node)],
  ['readPage block', NOT_A_WHOLE_NUMBER, (store, block) => store.readPage(block)],
  ['page block', NOT_A_WHOLE_NUMBER, (store, block) => store.page(block)],
  ['addPage arena', [...NOT_BYTES, new Uint8Array(262_144)], (store, arena) => store.addPage(arena)],
  ['addPage arena', [new ByteNodeArenaV1(4096), new ByteNodeArenaV2(131_072)], (store, arena) => store.addPage(arena)],
  ['assertBlock block', NOT_A_WHOLE_NUMBER, (store, block) => store.assertBlock(block)],
  ['free block', NOT_A_WHOLE_NUMBER, (store, block) => store.free(block)],
  ['allocate count', [...NOT_A_WHOLE_NUMBER, 0], (store, count) => store.allocate(count)],
  ['allocate pageFormat', NOT_A_FORMAT, (store, pageFormat) => store.allocate(1, pageFormat)],
  ['pages option', NOT_OPTIONS, (store, options) => store.pages(options)],
  ['pages onLostPage', NOT_A_FUNCTION, (store, onLostPage) => store.pages({ onLostPage })],
  ['finalize option', NOT_OPTIONS, (store, options) => store.finalize(options)],
  ['finalize blocks', [null, 5, 'x', {}, [1.5], [-1], ['1']], (store, blocks) => store.finalize({ blocks })],
  ['finalize onPage', NOT_A_FUNCTION, (store, onPage) => store.finalize({ onPage })],
  ['finalize signal', NOT_A_SIGNAL, (store, signal) => store.finalize({ signal })],
];

const LOCK_CASES = (call: (options: never) => unknown): Case<MemoryBlockFile>[] => [
  ['lockTimeout', [null, 'x', -1, NaN, {}], (_, lockTimeout) => call({ lockTimeout } as never)],
  ['breakLock', NOT_A_BOOLEAN, (_, breakLock) => call({ breakLock } as never)],
  ['lockSignal', NOT_A_SIGNAL, (_, lockSignal) => call({ lockSignal } as never)],
];

/** Wrong values of options, by name. */
const WRONG_OPTIONS: Readonly<Record<string, readonly unknown[]>> = {
  pageFormat: NOT_A_FORMAT,
  access: [null, 5, 'x', 'rw', {}],
  cacheBytes: NOT_BYTE_COUNTS,
  threads: NOT_A_COUNT,
  undo: [null, 5, {}],
  compare: [null, 5, 'x', {}],
  encoding: [null, 5, 'x', 'utf8', {}],
};

/** Each of these options with wrong values; those whose names begin with `on` are callbacks. */
function optionCases(names: string, call: (file: MemoryBlockFile, options: never) => unknown): Case<MemoryBlockFile>[] {
  const cases = names.split(' ').map((name): Case<MemoryBlockFile> => {
    const others = name === 'signal' ? NOT_A_SIGNAL : /^on[A-Z]/.test(name) ? NOT_A_FUNCTION : NOT_A_BOOLEAN;
    return [name, WRONG_OPTIONS[name] ?? others, (file, value) => call(file, { [name]: value } as never)];
  });
  return [['option', NOT_OPTIONS, call], ...cases];
}

/** A path in a folder that does not exist. */
const NOWHERE = '/nowhere/file.part';

const target = (): MemoryBlockFile => new MemoryBlockFile();

const FUNCTIONS: readonly [name: string, cases: readonly Case<MemoryBlockFile>[]][] = [
  [
    'create',
    [
      ['file', NOT_A_FILE, (_, file) => create(file)],
      ...optionCases('pageFormat replace dedupe cacheBytes', (_, options) => create(target(), options)),
      ...LOCK_CASES((options) => create(NOWHERE, options)),
    ],
  ],
  [
    'open',
    [
      ['file', NOT_A_FILE, (_, file) => open(file)],
      ...optionCases('access pageFormat dedupe cacheBytes signal onProgress', (file, options) => open(file, options)),
      ...LOCK_CASES((options) => open(NOWHERE, options)),
    ],
  ],
  [
    'verify',
    [
      ['file', NOT_A_FILE, (_, file) => verify(file)],
      ...optionCases('requireChecksums requireFinalized threads onFinding onProgress signal', (file, options) =>
        verify(file, options),
      ),
    ],
  ],
  [
    'recover',
    [
      ['source', NOT_A_FILE, (_, source) => recover(source, target())],
      ['target', NOT_A_FILE, (file, to) => recover(file, to)],
      ...optionCases('keepRoot replace onBlock onMoved onDurable onPublished onProgress signal', (file, options) =>
        recover(file, target(), options),
      ),
      ...LOCK_CASES((options) => recover(NOWHERE, NOWHERE, options)),
    ],
  ],
  [
    'repair',
    [
      ['file', NOT_A_FILE, (_, file) => repair(file)],
      ...optionCases('dryRun undo staleChecksums likelyBits onChange onLeft onProgress signal', (file, options) =>
        repair(file, options),
      ),
      ...LOCK_CASES((options) => repair(NOWHERE, options)),
    ],
  ],
  [
    'undoRepair',
    [
      ['file', NOT_A_FILE, (_, file) => undoRepair(file, 'file.undo')],
      ['undo', [undefined, null, 5, {}], (file, undo) => undoRepair(file, undo)],
      ...optionCases('onChange signal', (file, options) => undoRepair(file, 'file.undo', options)),
      ...LOCK_CASES((options) => undoRepair(NOWHERE, NOWHERE, options)),
    ],
  ],
  [
    'compact',
    [
      ['source', NOT_A_FILE, (_, source) => compact(source, target())],
      ['target', NOT_A_FILE, (file, to) => compact(file, to)],
      ...optionCases('pageFormat dedupe replace onMoved onDurable onPublished onProgress signal', (file, options) =>
        compact(file, target(), options),
      ),
      ...LOCK_CASES((options) => compact(NOWHERE, NOWHERE, options)),
    ],
  ],
  [
    'diff',
    [
      ['a', NOT_A_FILE, (file, a) => diff(a, file)],
      ['b', NOT_A_FILE, (file, b) => diff(file, b)],
      ...optionCases('compare stopAtFirst onDifference onProgress signal', (file, options) =>
        diff(file, file, options),
      ),
    ],
  ],
  [
    'exportNodes',
    [
      ['source', NOT_A_FILE, (_, source) => exportNodes(source).next()],
      ...optionCases('encoding onPage onLostPage signal', (file, options) => exportNodes(file, options).next()),
    ],
  ],
  [
    'importNodes',
    [
      ['lines', [undefined, null, 5, {}], (_, lines) => importNodes(lines, target())],
      ['target', NOT_A_FILE, (_, to) => importNodes([], to)],
      ...optionCases('pageFormat replace keepOwner signal', (_, options) => importNodes([], target(), options)),
      ...LOCK_CASES((options) => importNodes([], NOWHERE, options)),
    ],
  ],
  [
    'stat',
    [
      ['file', NOT_A_FILE, (_, file) => stat(file)],
      ...optionCases('onProgress signal', (file, options) => stat(file, options)),
    ],
  ],
  ['openBlockFile', [['path', [undefined, null, 5, {}], (_, path) => openBlockFile(path, 'read')]]],
  [
    'createBlockFile',
    [['path', [undefined, null, 5, {}], (_, path) => createBlockFile(path, false, async () => undefined)]],
  ],
  [
    'DiskManager.open',
    [
      ['file', [undefined, null, 5, 'x', {}], (_, file) => DiskManager.open(file, 'read')],
      ['access', [undefined, null, 5, 'x', {}], (file, access) => DiskManager.open(file, access)],
    ],
  ],
  [
    'PageRef',
    [
      ['block', NOT_A_WHOLE_NUMBER, (_, block) => new PageRef(block, 0)],
      ['slot', NOT_A_WHOLE_NUMBER, (_, slot) => new PageRef(1, slot)],
    ],
  ],
  ['parseRef', [['text', [undefined, null, 5, {}], (_, value) => parseRef(value)]]],
  ['formatRef', [['ref', NOT_A_REF, (_, ref) => formatRef(ref)]]],
];

describe('a wrong argument is a TypeError or RangeError that names the parameter, and changes nothing:', () => {
  test.each(METHODS)('PageStore.%s', async (...each) => {
    const file = new MemoryBlockFile();
    const store = await create(file);
    await store.append(text('old'));
    await store.readPage(1);
    const before = file.bytes.slice();
    await expectRefusals(each, store);
    expectSameBytes(file.bytes, before);
    expect(store.stagedNodes).toBe(0);
    expect(await store.append(text('next'))).toEqual({ block: 1, slot: 1 });
  });

  test.each(FUNCTIONS.flatMap(([name, cases]) => cases.map((each) => [name, each] as const)))(
    '%s, %o',
    async (_, each) => {
      const file = new MemoryBlockFile();
      const store = await create(file);
      await store.append(text('old'));
      await store.close();
      const before = file.bytes.slice();
      await expectRefusals(each, file);
      expectSameBytes(file.bytes, before);
    },
  );
});
