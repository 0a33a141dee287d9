import { isBytes } from '../arguments.ts';
import { crc32 } from './checksum.ts';

/** One field of a fixed-size record. `doc` is printed by the documentation and by dumps. */
export interface Field<Kind extends FieldKind = FieldKind> {
  readonly kind: Kind;
  readonly bytes: number;
  readonly doc: string;
}

export type FieldKind = 'u8' | 'u16' | 'u32' | 'u64' | 'bytes';

/** Numbers for up to 32 bits, bigints for 64, byte arrays. */
type FieldOf<Value> = Value extends bigint
  ? Field<'u64'>
  : Value extends number
    ? Field<'u8' | 'u16' | 'u32'>
    : Field<'bytes'>;

export const u8 = (doc: string): Field<'u8'> => ({ kind: 'u8', bytes: 1, doc });
export const u16 = (doc: string): Field<'u16'> => ({ kind: 'u16', bytes: 2, doc });
export const u32 = (doc: string): Field<'u32'> => ({ kind: 'u32', bytes: 4, doc });
export const u64 = (doc: string): Field<'u64'> => ({ kind: 'u64', bytes: 8, doc });
export const bytesOf = (bytes: number, doc: string): Field<'bytes'> => ({ kind: 'bytes', bytes, doc });

/** `offset` is from the start of the record. */
export interface PlacedField extends Field {
  readonly name: string;
  readonly offset: number;
}

/** Reads and writes one fixed-size little-endian record; {@link defineRecord} makes it from a field table. */
export interface RecordLayout<T> {
  readonly bytes: number;
  readonly fields: readonly PlacedField[];
  readonly offsets: Readonly<Record<keyof T & string, number>>;
  bytesOf(name: keyof T & string): number;
  /** Byte-array fields are copies. @throws RangeError if the record is not within `bytes` */
  read(bytes: Uint8Array, offset?: number): T;
  /** @throws RangeError if the record is not within `bytes`, or a value does not fit its field */
  write(record: T, bytes: Uint8Array, offset?: number): void;
  /** Writes one field of the record at the start of `bytes`. @throws as {@link write} */
  set<Name extends keyof T & string>(name: Name, value: T[Name], bytes: Uint8Array): void;
}

/** Fields of a record that begins with magic and version and ends with the CRC-32 of the bytes before it. */
export interface Envelope {
  magic: number;
  version: number;
  checksum: number;
}

export interface SealedRecordLayout<T> extends RecordLayout<T> {
  /** Writes at the start of `bytes`, by default a new array. Sets magic, version and checksum. @returns `bytes` */
  encode(content: Omit<T, keyof Envelope>, bytes?: Uint8Array): Uint8Array;
  /** Undefined if the record is cut off, or magic, version or checksum do not match. */
  decode(bytes: Uint8Array, offset?: number): T | undefined;
}

/** Lays out the fields in table order, without padding. */
export function defineRecord<T extends object>(table: { [Name in keyof T]: FieldOf<T[Name]> }): RecordLayout<T> {
  const fields: PlacedField[] = [];
  let size = 0;
  for (const [name, field] of Object.entries<Field>(table)) {
    fields.push({ ...field, name, offset: size });
    size += field.bytes;
  }
  const fieldOf = (name: string): PlacedField => {
    const field = fields.find((each) => each.name === name);
    if (field === undefined) throw new RangeError(`a record has no field '${name}'`);
    return field;
  };

  return {
    bytes: size,
    fields,
    offsets: Object.fromEntries(fields.map(({ name, offset }) => [name, offset])) as Record<keyof T & string, number>,
    bytesOf: (name) => fieldOf(name).bytes,
    read(bytes, offset = 0) {
      const view = viewOf(bytes, offset, size);
      const record: Record<string, unknown> = {};
      for (const field of fields) record[field.name] = readField(view, field);
      return record as T;
    },
    write(record, bytes, offset = 0) {
      const view = viewOf(bytes, offset, size);
      const values = record as Record<string, unknown>;
      for (const field of fields) writeField(view, field, values[field.name]);
    },
    set(name, value, bytes) {
      writeField(viewOf(bytes, 0, size), fieldOf(name), value);
    },
  };
}

/** @param table - `checksum` is last */
export function defineSealedRecord<T extends Envelope>(
  magic: number,
  version: number,
  table: { [Name in keyof T]: FieldOf<T[Name]> },
): SealedRecordLayout<T> {
  const layout = defineRecord<T>(table);
  const checksumOffset = layout.offsets.checksum;
  return {
    ...layout,
    encode(content, bytes = new Uint8Array(layout.bytes)) {
      layout.write({ ...content, magic, version, checksum: 0 } as T, bytes);
      layout.set('checksum', crc32(bytes.subarray(0, checksumOffset)), bytes);
      return bytes;
    },
    decode(bytes, offset = 0) {
      if (bytes.length < offset + layout.bytes) return undefined;
      const record = layout.read(bytes, offset);
      if (record.magic !== magic || record.version !== version) return undefined;
      return crc32(bytes.subarray(offset, offset + checksumOffset)) === record.checksum ? record : undefined;
    },
  };
}

/** Of `size` bytes, so that no access leaves `bytes` for the rest of its buffer. */
function viewOf(bytes: Uint8Array, offset: number, size: number): DataView {
  if (!(offset >= 0 && offset + size <= bytes.length))
    throw new RangeError(`a record of ${size} bytes at offset ${offset} is not within ${bytes.length} bytes`);
  return new DataView(bytes.buffer, bytes.byteOffset + offset, size);
}

export function readField(view: DataView, { kind, bytes, offset }: PlacedField): number | bigint | Uint8Array {
  if (kind === 'u8') return view.getUint8(offset);
  if (kind === 'u16') return view.getUint16(offset, true);
  if (kind === 'u32') return view.getUint32(offset, true);
  if (kind === 'u64') return view.getBigUint64(offset, true);
  return new Uint8Array(view.buffer, view.byteOffset + offset, bytes).slice();
}

const U64_MAX = 0xffff_ffff_ffff_ffffn;

function writeField(view: DataView, field: PlacedField, value: unknown): void {
  const { kind, bytes, offset } = field;
  if (kind === 'bytes') {
    if (!isBytes(value) || value.length !== bytes) throw fieldError(field, `${bytes} bytes`);
    new Uint8Array(view.buffer, view.byteOffset + offset, bytes).set(value);
  } else if (kind === 'u64') {
    if (typeof value !== 'bigint' || value < 0n || value > U64_MAX)
      throw fieldError(field, 'a bigint of 0 to 2^64 - 1');
    view.setBigUint64(offset, value, true);
  } else {
    if (typeof value !== 'number' || value >>> 0 !== value || value >= 2 ** (8 * bytes))
      throw fieldError(field, `an integer of 0 to 2^${8 * bytes} - 1`);
    if (kind === 'u8') view.setUint8(offset, value);
    else if (kind === 'u16') view.setUint16(offset, value, true);
    else view.setUint32(offset, value, true);
  }
}

function fieldError({ name }: PlacedField, expected: string): RangeError {
  return new RangeError(`the field ${name} of a record must be ${expected}`);
}
