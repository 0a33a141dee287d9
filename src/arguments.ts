import { types } from 'node:util';

// Checks of arguments, for callers without TypeScript: TypeError for files and options, RangeError for other values.

/** What the value of an option must be; the function that takes an option of kind `any` checks it. */
export type OptionKind = 'boolean' | 'count' | 'seconds' | 'string' | 'function' | 'signal' | 'any';

const OPTION_KINDS: Readonly<Record<OptionKind, readonly [expected: string, accepts: (value: unknown) => boolean]>> = {
  boolean: ['true or false', (value) => typeof value === 'boolean'],
  count: ['a whole number of at least 1', (value) => Number.isSafeInteger(value) && (value as number) >= 1],
  seconds: ['a number of seconds of at least 0', (value) => typeof value === 'number' && value >= 0],
  string: ['a string', (value) => typeof value === 'string'],
  function: ['a function', (value) => typeof value === 'function'],
  signal: ['an AbortSignal', (value) => hasMethods(value, 'throwIfAborted', 'addEventListener')],
  any: ['a value', () => true],
};

/** Refuses wrong values and unknown names. @param call - function, for messages @param kinds - all its options */
export function checkOptions<Options extends object>(
  call: string,
  options: Options,
  kinds: Readonly<Record<keyof Options, OptionKind>>,
): void {
  // Not arrays and buffers, which have no options, and whose mistakes would go unnoticed.
  if (Object.prototype.toString.call(options) !== '[object Object]')
    throw new TypeError(`${call}: options must be an object`);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(kinds, name))
      throw new TypeError(`${call}: unknown option '${name}'; it takes ${Object.keys(kinds).join(', ')}`);
    const [expected, accepts] = OPTION_KINDS[kinds[name as keyof Options]];
    if (value !== undefined && !accepts(value)) throw new TypeError(`${call}: options.${name} must be ${expected}`);
  }
}

export function assertPathOrBlockFile(call: string, parameter: string, value: unknown): void {
  if ((typeof value === 'string' && value !== '') || isBlockFile(value)) return;
  throw new TypeError(`${call}: ${parameter} must be a path, or a BlockFile with a journal`);
}

export function assertBlockFile(call: string, parameter: string, value: unknown): void {
  if (!isBlockFile(value)) throw new TypeError(`${call}: ${parameter} must be a BlockFile with a journal`);
}

export function assertPath(call: string, parameter: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw new TypeError(`${call}: ${parameter} must be a path, a string`);
}

function isBlockFile(value: unknown): boolean {
  if (!hasMethods(value, 'size', 'read', 'write', 'truncate', 'sync', 'close')) return false;
  return hasMethods((value as { journal?: unknown }).journal, 'read', 'write', 'remove');
}

function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}

export function assertWholeNumber(call: string, parameter: string, value: number, least: number = 0): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new RangeError(`${call}: ${parameter} must be a whole number of at least ${least}, not ${valueText(value)}`);
}

export function assertOneOf(call: string, parameter: string, value: unknown, values: readonly string[]): void {
  if (value === undefined || values.includes(value as string)) return;
  const expected = values.map((each) => `'${each}'`).join(' or ');
  const found = typeof value === 'string' ? `'${value}'` : typeof value;
  throw new RangeError(`${call}: ${parameter} must be ${expected}, not ${found}`);
}

export function assertInteger(parameter: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`${parameter} must be a whole number from ${least} to ${most}, not ${shown(value)}`);
}

export function wrongType(parameter: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${parameter} must be ${expected}, not ${shown(value)}`);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : valueText(value);
}

/** For messages. String() fails for an array without its memory, and for objects of all kinds. */
export function valueText(value: unknown): string {
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** Also those of other realms, such as a Buffer in a test of jest, which are no instances of this realm's Uint8Array. */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || types.isUint8Array(value);
}

export function assertBytes(call: string, parameter: string, value: unknown): asserts value is Uint8Array {
  if (!isBytes(value)) throw new TypeError(`${call}: ${parameter} must be a Uint8Array`);
  if (hasLostMemory(value))
    throw new TypeError(`${call}: ${parameter} is detached: its buffer was transferred, or became too short`);
}

/** For input in pieces. @param parameter - of Uint8Arrays, in the plural */
export function assertPieces(call: string, parameter: string, pieces: unknown): void {
  const value = (pieces ?? {}) as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
  const isIterable = (value[Symbol.asyncIterator] ?? value[Symbol.iterator]) !== undefined;
  if (typeof pieces === 'object' && !ArrayBuffer.isView(pieces) && isIterable) return;
  throw new TypeError(`${call}: ${parameter} must be an iterable of Uint8Arrays, such as a stream`);
}

/** The default of a parameter `end`. NaN for a `source` of the wrong type, which the check of the range refuses. */
export function lengthOf(source: Uint8Array): number {
  return (source as Uint8Array | null | undefined)?.length ?? NaN;
}

/** Sets what console.log shows. A declared method would be in the type: object literals have to pass as a PageRef. */
export function showAs<T extends object>(
  type: { readonly prototype: T },
  textOf: (object: T, show: (part: object) => string) => string,
): void {
  Object.defineProperty(type.prototype, Symbol.for('nodejs.util.inspect.custom'), {
    value(this: T, _depth: number, options: object, inspect: (part: object, options: object) => string): string {
      return textOf(this, (part) => inspect(part, options));
    },
  });
}

/**
 * Whether the memory of an array is gone: its buffer was transferred, or became too short. Its length is then 0, but
 * in code that V8 has optimized `length` was seen to be that of before. V8 never inlines `at`, which throws. It takes
 * some 30 ns: loops over many arrays look first whether there is a byte 0.
 */
export function hasLostMemory(array: ArrayBufferView): boolean {
  try {
    Uint8Array.prototype.at.call(array, 0);
    return false;
  } catch {
    return true;
  }
}
