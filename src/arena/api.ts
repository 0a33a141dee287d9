// What the public classes of this folder share: checks of arguments, and the text that console.log shows.

/** The error for an argument of the wrong type. */
export function wrongType(parameter: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${parameter} must be ${expected}, not ${shown(value)}`);
}

/** @throws RangeError that names the parameter */
export function assertInteger(parameter: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`${parameter} must be a whole number from ${least} to ${most}, not ${shown(value)}`);
}

/** @throws RangeError for anything but a whole number from 0 to 2^53 - 1 */
export function assertEpoch(epoch: number): void {
  assertInteger('epoch', epoch, 0, Number.MAX_SAFE_INTEGER);
}

/** @throws TypeError for anything but an object */
export function assertDescriptor(descriptor: object): void {
  if (typeof descriptor === 'object' && descriptor !== null) return;
  throw wrongType('descriptor', "what the property 'descriptor' of the other object returned", descriptor);
}

/** The default of a parameter `end`. A `source` that is not an array passes here, for the check of the whole range to refuse. */
export function lengthOf(source: Uint8Array): number {
  return (source as Uint8Array | null | undefined)?.length ?? NaN;
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

type Inspect = (value: object, options: object) => string;

/**
 * Makes util.inspect and console.log show the objects of a class as its name and these fields.
 * @param name - given, because a bundler may rename the class
 */
export function showAs<T extends object>(
  type: { readonly prototype: T },
  name: string,
  fieldsOf: (object: T) => object,
): void {
  Object.defineProperty(type.prototype, Symbol.for('nodejs.util.inspect.custom'), {
    value(this: T, _depth: number, options: object, inspect: Inspect): string {
      return `${name} ${inspect(fieldsOf(this), options)}`;
    },
  });
}

const SHOWN_KEY_BYTES = 64;

/** The first 64 bytes of a key as text, with U+FFFD for what is not UTF-8. */
export function keyText(key: Uint8Array): string {
  const text = new TextDecoder().decode(new Uint8Array(key.subarray(0, SHOWN_KEY_BYTES)));
  return key.length > SHOWN_KEY_BYTES ? `${text}…` : text;
}
