// Checks of arguments, for callers without TypeScript: TypeError for files and options, RangeError for other values.

/** What the value of an option must be; the function that takes an option of kind `any` checks it. */
export type OptionKind = 'boolean' | 'count' | 'seconds' | 'string' | 'function' | 'signal' | 'any';

const OPTION_KINDS: Readonly<Record<OptionKind, readonly [expected: string, accepts: (value: unknown) => boolean]>> = {
  boolean: ['true or false', (value) => typeof value === 'boolean'],
  count: ['a whole number of at least 1', (value) => Number.isSafeInteger(value) && (value as number) >= 1],
  seconds: ['a number of seconds of at least 0', (value) => typeof value === 'number' && value >= 0],
  string: ['a string', (value) => typeof value === 'string'],
  function: ['a function', (value) => typeof value === 'function'],
  signal: ['an AbortSignal', (value) => value instanceof AbortSignal],
  any: ['a value', () => true],
};

/** Refuses wrong values and unknown names. @param call - function, for messages @param kinds - all its options */
export function checkOptions<Options extends object>(
  call: string,
  options: Options,
  kinds: Readonly<Record<keyof Options, OptionKind>>,
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
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
  throw new RangeError(`${call}: ${parameter} must be a whole number of at least ${least}, not ${String(value)}`);
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
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
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
