import { describe, expect, test } from 'vitest';
import * as api from '../../src/arena.ts';
import { PageStoreError } from '../../src/errors.ts';

const {
  ArenaPool,
  BatchKeyGenerator,
  ConcurrentArena,
  EpochArena,
  InternedTablePrefix,
  KeyArena,
  KeyBuffer,
  KeyHandle,
  KeyMap,
  WorkerArena,
  withArena,
} = api;

/** Wrong for every parameter, unless a call lists what it takes. */
const WRONG: readonly unknown[] = [undefined, null, 'text', NaN, 1.5, -1, {}, [], true];

/** A public call with valid arguments; each of them is replaced by every wrong value. */
interface Call {
  readonly name: string;
  readonly parameters: readonly string[];
  readonly valid: readonly unknown[];
  /** By parameter: the wrong values that this one takes. */
  readonly takes?: Readonly<Record<string, readonly unknown[]>>;
  /** The documented code, for a call that throws a PageStoreError. */
  readonly code?: string;
  readonly run: (...args: never[]) => unknown;
}

const BYTES = Uint8Array.of(1, 2, 3, 4);
const RANGE = { start: [undefined], end: [undefined] };
const DESCRIPTOR_NAMES = 'descriptor';

const keys = new KeyArena();
const key = keys.add(BYTES);
const handle = KeyHandle.of(BYTES);
const map = new KeyMap<unknown>();
map.entryOf(BYTES);
const arena = new EpochArena({ maxBlocks: 1 });
arena.allocateCopy(BYTES);
const pool = new ArenaPool(2, { maxBlocks: 1 });
const writer = new WorkerArena(pool);
const concurrent = new ConcurrentArena(1, { maxBlocks: 1 });
const shard = concurrent.shard();
shard.allocateCopy(BYTES);
const prefix = new InternedTablePrefix('table');

const source = ['source', 'start', 'end'];
const range = [BYTES, 0, 4];

/** `allocate`, `allocateCopy` and `allocateKey`, which all arenas have. */
const allocations = (of: string, target: typeof arena | typeof shard | typeof writer | typeof concurrent): Call[] => [
  {
    name: `${of}.allocate`,
    parameters: ['bytes', 'alignment'],
    valid: [4, 8],
    takes: { alignment: [undefined] },
    run: (bytes: number, alignment: number) => target.allocate(bytes, alignment),
  },
  {
    name: `${of}.allocateCopy`,
    parameters: source,
    valid: range,
    takes: RANGE,
    run: (...args: [Uint8Array, number, number]) => target.allocateCopy(...args),
  },
  {
    name: `${of}.allocateKey`,
    parameters: source,
    valid: range,
    takes: RANGE,
    run: (...args: [Uint8Array, number, number]) => target.allocateKey(...args),
  },
];

const CALLS: readonly Call[] = [
  {
    name: 'new InternedTablePrefix',
    parameters: ['table'],
    valid: ['t'],
    takes: { table: ['text'] },
    run: (table: string) => new InternedTablePrefix(table),
  },
  {
    name: 'InternedTablePrefix.sameTable',
    parameters: ['other'],
    valid: [prefix],
    run: (other: typeof prefix) => prefix.sameTable(other),
  },
  {
    name: 'KeyBuffer.setRowKey',
    parameters: ['table', 'rowId'],
    valid: ['t', 1],
    takes: { table: ['text'] },
    run: (table: string, rowId: number) => new KeyBuffer().setRowKey(table, rowId),
  },
  {
    name: 'KeyBuffer.setColumnKey',
    parameters: ['table', 'rowId', 'column'],
    valid: ['t', 1, 'c'],
    takes: { table: ['text'], column: ['text'] },
    run: (table: string, rowId: number, column: string) => new KeyBuffer().setColumnKey(table, rowId, column),
  },
  {
    name: 'KeyBuffer.replaceRow',
    parameters: ['keptBytes', 'rowId'],
    valid: [0, 1],
    run: (keptBytes: number, rowId: number) => new KeyBuffer().replaceRow(keptBytes, rowId),
  },
  {
    name: 'KeyBuffer.replaceColumn',
    parameters: ['keptBytes', 'rowId', 'column'],
    valid: [0, 1, 'c'],
    takes: { column: ['text'] },
    run: (...args: [number, number, string]) => new KeyBuffer().replaceColumn(...args),
  },
  {
    name: 'KeyBuffer.append',
    parameters: ['bytes'],
    valid: [BYTES],
    run: (bytes: Uint8Array) => new KeyBuffer().append(bytes),
  },
  {
    name: 'KeyBuffer.appendText',
    parameters: ['text'],
    valid: ['t'],
    takes: { text: ['text'] },
    run: (text: string) => new KeyBuffer().appendText(text),
  },
  { name: 'KeyBuffer.push', parameters: ['byte'], valid: [1], run: (byte: number) => new KeyBuffer().push(byte) },
  {
    name: 'new BatchKeyGenerator',
    parameters: ['table'],
    valid: ['t'],
    takes: { table: ['text'] },
    run: (table: string) => new BatchKeyGenerator(table),
  },
  {
    name: 'BatchKeyGenerator.rowKey',
    parameters: ['rowId'],
    valid: [1],
    run: (rowId: number) => new BatchKeyGenerator('t').rowKey(rowId),
  },
  {
    name: 'BatchKeyGenerator.columnKey',
    parameters: ['rowId', 'column'],
    valid: [1, 'c'],
    takes: { column: ['text'] },
    run: (rowId: number, column: string) => new BatchKeyGenerator('t').columnKey(rowId, column),
  },

  {
    name: 'new KeyArena',
    parameters: ['firstKey'],
    valid: [0],
    takes: { firstKey: [undefined] },
    run: (firstKey: number) => new KeyArena(firstKey),
  },
  {
    name: 'KeyArena.add',
    parameters: source,
    valid: range,
    takes: RANGE,
    run: (...args: [Uint8Array, number, number]) => new KeyArena().add(...args),
  },
  { name: 'KeyArena.bytes', parameters: ['key'], valid: [key], run: (key: number) => keys.bytes(key) },
  { name: 'KeyArena.length', parameters: ['key'], valid: [key], run: (key: number) => keys.length(key) },
  {
    name: 'KeyArena.equals',
    parameters: ['key', ...source],
    valid: [key, ...range],
    takes: RANGE,
    run: (...args: [number, Uint8Array, number, number]) => keys.equals(...args),
  },
  {
    name: 'KeyArena.compare',
    parameters: ['a', 'b'],
    valid: [key, key],
    run: (a: number, b: number) => keys.compare(a, b),
  },
  { name: 'withArena', parameters: ['use'], valid: [(): number => 1], run: (use: () => number) => withArena(use) },
  {
    name: 'KeyHandle.of',
    parameters: source,
    valid: range,
    takes: RANGE,
    run: (...args: [Uint8Array, number, number]) => KeyHandle.of(...args),
  },
  {
    name: 'KeyHandle.copyTo',
    parameters: ['target', 'offset'],
    valid: [new Uint8Array(8), 1],
    takes: { offset: [undefined] },
    run: (target: Uint8Array, offset: number) => handle.copyTo(target, offset),
  },
  {
    name: 'KeyHandle.equalsRange',
    parameters: source,
    valid: range,
    run: (...args: [Uint8Array, number, number]) => handle.equalsRange(...args),
  },
  {
    name: 'KeyHandle.equals',
    parameters: ['other'],
    valid: [handle],
    run: (other: typeof handle) => handle.equals(other),
  },
  {
    name: 'KeyHandle.compare',
    parameters: ['other'],
    valid: [handle],
    run: (other: typeof handle) => handle.compare(other),
  },

  {
    name: 'new KeyMap',
    parameters: ['hash'],
    valid: [undefined],
    takes: { hash: [undefined] },
    run: (hash: api.KeyHash) => new KeyMap(hash),
  },
  ...(['entryOf', 'find', 'get', 'has'] as const).map((name) => ({
    name: `KeyMap.${name}`,
    parameters: source,
    valid: range,
    takes: RANGE,
    run: (...args: [Uint8Array, number, number]) => map[name](...args),
  })),
  ...(['findHandle', 'getHandle', 'hasHandle'] as const).map((name) => ({
    name: `KeyMap.${name}`,
    parameters: ['handle'],
    valid: [handle],
    run: (handle: api.KeyHandle) => map[name](handle),
  })),
  {
    name: 'KeyMap.set',
    parameters: source,
    valid: range,
    run: (...args: [Uint8Array, number, number]) => map.set(...args, 'value'),
  },
  { name: 'KeyMap.valueAt', parameters: ['entry'], valid: [0], run: (entry: number) => map.valueAt(entry) },
  { name: 'KeyMap.setValueAt', parameters: ['entry'], valid: [0], run: (entry: number) => map.setValueAt(entry, 1) },
  { name: 'KeyMap.keyAt', parameters: ['entry'], valid: [0], run: (entry: number) => map.keyAt(entry) },

  {
    name: 'new EpochArena',
    parameters: ['options'],
    valid: [{}],
    takes: { options: [undefined, {}] },
    run: (options: object) => new EpochArena(options),
  },
  {
    name: 'new EpochArena with options',
    parameters: ['epoch', 'maxBlocks'],
    valid: [0, 1],
    takes: { epoch: [undefined], maxBlocks: [undefined] },
    run: (epoch: number, maxBlocks: number) => new EpochArena({ epoch, maxBlocks }),
  },
  {
    name: 'EpochArena.attach',
    parameters: [DESCRIPTOR_NAMES],
    valid: [arena.descriptor],
    run: (descriptor: api.EpochArenaDescriptor) => EpochArena.attach(descriptor),
  },
  ...allocations('EpochArena', arena),
  {
    name: 'EpochArena.tryAllocate',
    parameters: ['bytes', 'alignment'],
    valid: [4, 8],
    takes: { alignment: [undefined] },
    run: (bytes: number, alignment: number) => arena.tryAllocate(bytes, alignment),
  },
  {
    name: 'EpochArena.tryAllocateCopy',
    parameters: source,
    valid: range,
    takes: RANGE,
    run: (...args: [Uint8Array, number, number]) => arena.tryAllocateCopy(...args),
  },
  {
    name: 'EpochArena.view',
    parameters: ['offset', 'bytes'],
    valid: [0, 4],
    run: (offset: number, bytes: number) => arena.view(offset, bytes),
  },
  { name: 'EpochArena.blockOf', parameters: ['offset'], valid: [0], run: (offset: number) => arena.blockOf(offset) },
  {
    name: 'EpochArena.reset',
    parameters: ['epoch'],
    valid: [1],
    run: (epoch: number) => new EpochArena({ maxBlocks: 1 }).reset(epoch),
  },

  {
    name: 'new ArenaPool',
    parameters: ['size', 'options'],
    valid: [1, {}],
    takes: { options: [undefined, {}] },
    run: (size: number, options: object) => new ArenaPool(size, options),
  },
  {
    name: 'new ArenaPool with options',
    parameters: ['epoch', 'maxBlocks', 'maxThreads'],
    valid: [0, 1, 1],
    takes: { epoch: [undefined], maxBlocks: [undefined], maxThreads: [undefined] },
    run: (epoch: number, maxBlocks: number, maxThreads: number) => new ArenaPool(1, { epoch, maxBlocks, maxThreads }),
  },
  {
    name: 'ArenaPool.attach',
    parameters: [DESCRIPTOR_NAMES],
    valid: [pool.descriptor],
    run: (descriptor: api.ArenaPoolDescriptor) => ArenaPool.attach(descriptor),
  },
  {
    name: 'ArenaPool.arenaOf',
    parameters: ['epoch'],
    valid: [0],
    code: 'STALE_EPOCH',
    run: (epoch: number) => pool.arenaOf(epoch),
  },
  {
    name: 'ArenaPool.allocateCopy',
    parameters: source,
    valid: range,
    takes: RANGE,
    run: (...args: [Uint8Array, number, number]) => pool.allocateCopy(...args),
  },
  {
    name: 'ArenaPool.read',
    parameters: ['handle'],
    valid: [pool.allocateCopy(BYTES)],
    takes: { handle: [{}, []] },
    run: (handle: api.EpochHandle) => pool.read(handle),
  },
  {
    name: 'ArenaPool.releaseThread',
    parameters: ['thread'],
    valid: [99],
    run: (thread: number) => pool.releaseThread(thread),
  },
  {
    name: 'ArenaPool.releaseWhenEnded',
    parameters: ['worker'],
    valid: [{ threadId: 1, once: (): void => undefined }],
    run: (worker: api.EndingThread) => pool.releaseWhenEnded(worker),
  },
  {
    name: 'new WorkerArena',
    parameters: ['pool'],
    valid: [pool],
    run: (pool: api.ArenaPool) => new WorkerArena(pool),
  },
  ...allocations('WorkerArena', writer),
  {
    name: 'WorkerArena.handleOf',
    parameters: ['offset', 'length'],
    valid: [0, 4],
    run: (offset: number, length: number) => writer.handleOf(offset, length),
  },

  {
    name: 'new ConcurrentArena',
    parameters: ['shards', 'options'],
    valid: [1, {}],
    takes: { options: [undefined, {}] },
    run: (shards: number, options: object) => new ConcurrentArena(shards, options),
  },
  {
    name: 'new ConcurrentArena with options',
    parameters: ['epoch', 'maxBlocks'],
    valid: [0, 1],
    takes: { epoch: [undefined], maxBlocks: [undefined] },
    run: (epoch: number, maxBlocks: number) => new ConcurrentArena(1, { epoch, maxBlocks }),
  },
  {
    name: 'ConcurrentArena.attach',
    parameters: [DESCRIPTOR_NAMES],
    valid: [concurrent.descriptor],
    run: (descriptor: api.ConcurrentArenaDescriptor) => ConcurrentArena.attach(descriptor),
  },
  ...allocations('ConcurrentArena', concurrent),
  ...allocations('ArenaShard', shard),
  {
    name: 'ConcurrentArena.view',
    parameters: ['shard', 'offset', 'bytes'],
    valid: [0, 0, 4],
    run: (...args: [number, number, number]) => concurrent.view(...args),
  },
  {
    name: 'ConcurrentArena.blockOf',
    parameters: ['shard', 'offset'],
    valid: [0, 0],
    run: (index: number, offset: number) => concurrent.blockOf(index, offset),
  },
  {
    name: 'ArenaShard.view',
    parameters: ['offset', 'bytes'],
    valid: [0, 4],
    run: (offset: number, bytes: number) => shard.view(offset, bytes),
  },
  { name: 'ArenaShard.blockOf', parameters: ['offset'], valid: [0], run: (offset: number) => shard.blockOf(offset) },
  {
    name: 'ConcurrentArena.reset',
    parameters: ['epoch'],
    valid: [1],
    takes: { epoch: [undefined] },
    run: (epoch: number) => new ConcurrentArena(1, { maxBlocks: 1 }).reset(epoch),
  },
  {
    name: 'ConcurrentArena.releaseWhenEnded',
    parameters: ['worker'],
    valid: [{ threadId: 1, once: (): void => undefined }],
    run: (worker: api.EndingThread) => concurrent.releaseWhenEnded(worker),
  },
];

const errorOf = (call: () => unknown): unknown => {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe.each(CALLS)('$name', ({ parameters, valid, takes = {}, code, run }) => {
  const apply = (args: readonly unknown[]): unknown => run(...(args as never[]));

  test('takes valid arguments', () => {
    expect(errorOf(() => apply(valid))).toBe(undefined);
  });

  test.each(parameters)('refuses a wrong %s by its name', (parameter) => {
    const at = parameters.indexOf(parameter);
    for (const wrong of WRONG) {
      if (takes[parameter]?.some((each) => Object.is(each, wrong) || JSON.stringify(each) === JSON.stringify(wrong)))
        continue;
      const error = errorOf(() => apply(valid.with(at, wrong)));
      if (code !== undefined) expect(error).toMatchObject({ code });
      else expect([TypeError, RangeError], String(wrong)).toContain((error as Error | undefined)?.constructor);
      expect((error as Error).message).toMatch(new RegExp(`\\b${parameter}\\b`));
    }
  });
});

test('isEpochValid answers false for anything but an epoch', () => {
  for (const wrong of WRONG) expect(pool.isEpochValid(wrong as number)).toBe(false);
});

test('a handle without an epoch is refused', () => {
  expect(errorOf(() => pool.read({} as never))).toBeInstanceOf(PageStoreError);
});

test('descriptors with wrong content are refused', () => {
  const memory = new SharedArrayBuffer(64);
  for (const descriptor of [{ memory }, { memory: {} }, pool.descriptor])
    expect(() => EpochArena.attach(descriptor as never)).toThrow(TypeError);
  const { arenas, clock, pins, firstEpoch } = pool.descriptor;
  for (const descriptor of [
    { arenas: [], clock, pins, firstEpoch },
    { arenas: [{}], clock, pins, firstEpoch },
    { arenas, clock: {}, pins, firstEpoch },
    { arenas, clock: null, pins, firstEpoch },
    { arenas, clock: pool.descriptor, pins, firstEpoch },
    { arenas, clock, pins: {}, firstEpoch },
    { arenas, clock, firstEpoch },
    { arenas, clock, pins },
  ])
    expect(() => ArenaPool.attach(descriptor as never)).toThrow(TypeError);
  const { shards, owners } = concurrent.descriptor;
  for (const descriptor of [
    { shards: [], owners },
    { shards: [{}], owners },
    { shards, owners: {} },
    { shards, owners: null },
    { shards },
  ])
    expect(() => ConcurrentArena.attach(descriptor as never)).toThrow(TypeError);
});

test('unknown options are refused', () => {
  const options = { maxBlock: 1 } as never;
  expect(() => new EpochArena(options)).toThrow("EpochArena: unknown option 'maxBlock'");
  expect(() => new ArenaPool(1, options)).toThrow("ArenaPool: unknown option 'maxBlock'");
  expect(() => new ConcurrentArena(1, options)).toThrow("ConcurrentArena: unknown option 'maxBlock'");
});

test('the table above has every method with a parameter', () => {
  const classes = [
    InternedTablePrefix,
    KeyBuffer,
    BatchKeyGenerator,
    KeyArena,
    KeyHandle,
    KeyMap,
    EpochArena,
    ArenaPool,
    WorkerArena,
    ConcurrentArena,
    shard.constructor as typeof KeyArena,
  ];
  const names = new Set(CALLS.map(({ name }) => name));
  const methods = classes.flatMap((each) =>
    Object.entries(Object.getOwnPropertyDescriptors(each.prototype))
      .filter(([name, { value }]) => typeof value === 'function' && value.length > 0 && name !== 'constructor')
      .map(([name]) => `${each.name}.${name}`),
  );
  // The first one has a test of its own, the second one is internal.
  const others = ['ArenaPool.isEpochValid', 'ArenaShard.reset'];
  expect(methods.filter((name) => !names.has(name) && !others.includes(name))).toEqual([]);
});
