import { describe, expect, test } from 'vitest';
import * as api from '../../src/arena.ts';

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
/** Options that are numbers, with defaults. */
const NUMBERS = Object.fromEntries(
  ['epoch', 'blockBytes', 'maxBlocks', 'maxAllocations', 'maxThreads'].map((name) => [name, [undefined]]),
);

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
const allocations = (
  of: string,
  target: typeof arena | typeof shard | typeof writer | typeof concurrent | typeof pool,
): Call[] => [
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

/** What takes a handle, in arenas that have offsets. */
const readers = (of: string, target: typeof arena | typeof concurrent, valid: number): Call[] =>
  (['read', 'lengthOf', 'offsetOf'] as const).map((name) => ({
    name: `${of}.${name}`,
    parameters: ['handle'],
    valid: [valid],
    run: (handle: number) => target[name](handle),
  }));

const claims = (of: string, target: typeof arena | typeof shard): Call[] => [
  {
    name: `${of}.reserve`,
    parameters: ['bytes'],
    valid: [100],
    run: (bytes: number) => target.reserve(bytes),
  },
  {
    name: `${of}.claim`,
    parameters: ['start', 'end'],
    valid: [3, 4],
    run: (start: number, end: number) => {
      target.reserve(100);
      return target.claim(start, end);
    },
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
    name: 'InternedTablePrefix.makeRowKey',
    parameters: ['rowId'],
    valid: [1],
    run: (rowId: number) => prefix.makeRowKey(rowId),
  },
  {
    name: 'InternedTablePrefix.makeColumnKey',
    parameters: ['rowId', 'column'],
    valid: [1, 'c'],
    takes: { column: ['text'] },
    run: (rowId: number, column: string) => prefix.makeColumnKey(rowId, column),
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
  {
    name: 'KeyArena.addText',
    parameters: ['text'],
    valid: ['text'],
    takes: { text: ['text'] },
    run: (text: string) => new KeyArena().addText(text),
  },
  { name: 'KeyArena.text', parameters: ['key'], valid: [key], run: (key: number) => keys.text(key) },
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
    parameters: ['epoch', 'blockBytes', 'maxBlocks', 'maxAllocations'],
    valid: [0, 65_536, 1, 1],
    takes: NUMBERS,
    run: (...[epoch, blockBytes, maxBlocks, maxAllocations]: [number, number, number, number]) =>
      new EpochArena({ epoch, blockBytes, maxBlocks, maxAllocations }),
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
  ...readers('EpochArena', arena, arena.allocateCopy(BYTES)),
  ...claims('EpochArena', arena),
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
    parameters: ['epoch', 'blockBytes', 'maxBlocks', 'maxAllocations', 'maxThreads'],
    valid: [0, 65_536, 1, 1, 1],
    takes: NUMBERS,
    run: (...[epoch, blockBytes, maxBlocks, maxAllocations, maxThreads]: [number, number, number, number, number]) =>
      new ArenaPool(1, { epoch, blockBytes, maxBlocks, maxAllocations, maxThreads }),
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
  ...allocations('ArenaPool', pool),
  ...(['read', 'lengthOf', 'epochOf'] as const).map((name) => ({
    name: `ArenaPool.${name}`,
    parameters: ['handle'],
    valid: [pool.allocateCopy(BYTES)],
    run: (handle: number) => pool[name](handle),
  })),
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
    name: 'new ConcurrentArena',
    parameters: ['shards', 'options'],
    valid: [1, {}],
    takes: { options: [undefined, {}] },
    run: (shards: number, options: object) => new ConcurrentArena(shards, options),
  },
  {
    name: 'new ConcurrentArena with options',
    parameters: ['epoch', 'blockBytes', 'maxBlocks', 'maxAllocations'],
    valid: [0, 65_536, 1, 1],
    takes: NUMBERS,
    run: (...[epoch, blockBytes, maxBlocks, maxAllocations]: [number, number, number, number]) =>
      new ConcurrentArena(1, { epoch, blockBytes, maxBlocks, maxAllocations }),
  },
  {
    name: 'ConcurrentArena.attach',
    parameters: [DESCRIPTOR_NAMES],
    valid: [concurrent.descriptor],
    run: (descriptor: api.ConcurrentArenaDescriptor) => ConcurrentArena.attach(descriptor),
  },
  ...allocations('ConcurrentArena', concurrent),
  ...allocations('ArenaShard', shard),
  ...readers('ConcurrentArena', concurrent, shard.allocateCopy(BYTES)),
  {
    name: 'ConcurrentArena.shardOf',
    parameters: ['handle'],
    valid: [shard.allocateCopy(BYTES)],
    run: (handle: number) => concurrent.shardOf(handle),
  },
  {
    name: 'ArenaShard.read',
    parameters: ['handle'],
    valid: [shard.allocateCopy(BYTES)],
    run: (handle: number) => shard.read(handle),
  },
  ...claims('ArenaShard', shard),
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

test('descriptors with wrong content are refused', () => {
  // Every property of a descriptor, missing or of another kind.
  for (const [attach, descriptor] of [
    [(each: never): unknown => EpochArena.attach(each), arena.descriptor],
    [(each: never): unknown => ArenaPool.attach(each), pool.descriptor],
    [(each: never): unknown => ConcurrentArena.attach(each), concurrent.descriptor],
  ] as const) {
    attach(structuredClone(descriptor) as never);
    for (const name of Object.keys(descriptor)) {
      const { [name]: _, ...without } = descriptor as unknown as Record<string, unknown>;
      const wrong = [undefined, null, {}, [], [{}], 'text', new SharedArrayBuffer(32)];
      // Slots of threads have no magic number.
      if (name !== 'pins' && name !== 'owners') wrong.push(new SharedArrayBuffer(8_192));
      for (const each of [without, ...wrong.map((value) => ({ ...descriptor, [name]: value }))])
        expect(() => attach(each as never), `${name} in ${JSON.stringify(each)}`).toThrow(TypeError);
    }
  }
  expect(() => EpochArena.attach(pool.descriptor as never)).toThrow(TypeError);
});

test('unknown options are refused', () => {
  const options = { maxBlock: 1 } as never;
  expect(() => new EpochArena(options)).toThrow("EpochArena: unknown option 'maxBlock'");
  expect(() => new ArenaPool(1, options)).toThrow("ArenaPool: unknown option 'maxBlock'");
  expect(() => new ConcurrentArena(1, options)).toThrow("ConcurrentArena: unknown option 'maxBlock'");
});

const LOCATING = [
  ...['EpochArena', 'ArenaPool', 'ConcurrentArena', 'KeyArena'].map((name) => `${name}.locate`),
  'ConcurrentArena.claimsOf',
];

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
  // The first one has a test of its own, the others are internal.
  const internal = ['reset', 'claimNext'].map((name) => `ArenaShard.${name}`);
  const others = ['ArenaPool.isEpochValid', 'EpochArena.claimNext', ...internal, ...LOCATING];
  expect(methods.filter((name) => !names.has(name) && !others.includes(name))).toEqual([]);
});
