/** One field of a fixed-size record. `doc` is the line that documentation and dumps print beside it. */
export interface Field<Kind extends FieldKind = FieldKind> {
  readonly kind: Kind;
  readonly bytes: number;
  readonly doc: string;
}

type FieldKind = 'u8' | 'u16' | 'u32' | 'u64' | 'bytes';

/** The kind of field that holds a value of type `Value`: numbers up to 32 bits, bigints of 64, byte strings. */
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

/** A field and its place in the record. */
export interface PlacedField extends Field {
  readonly name: string;
  /** Offset from the start of the record. */
  readonly offset: number;
}

/** Reads and writes one fixed-size little-endian record; made from a field table by {@link defineRecord}. */
export interface RecordLayout<T> {
  /** Size of the record. */
  readonly bytes: number;
  readonly fields: readonly PlacedField[];
  /** Offset of a field from the start of the record. */
  offsetOf(name: keyof T & string): number;
  /** Size of a field. */
  bytesOf(name: keyof T & string): number;
  /** Reads the record at `offset`. Byte-string fields are copies. @throws RangeError where the record runs past the end of `bytes` */
  read(bytes: Uint8Array, offset?: number): T;
  /** Writes every field of `record` at `offset`. @throws RangeError where it runs past the end of `bytes` */
  write(record: T, bytes: Uint8Array, offset?: number): void;
  /** Writes one field of the record that begins with `bytes`: for a checksum, which is known last. */
  set<Name extends keyof T & string>(name: Name, value: T[Name], bytes: Uint8Array): void;
}

/** Lays the fields out one after the other, in the order of the table, without padding. */
export function defineRecord<T extends object>(table: { [Name in keyof T]: FieldOf<T[Name]> }): RecordLayout<T> {
  const fields: PlacedField[] = [];
  let size = 0;
  for (const [name, field] of Object.entries<Field>(table)) {
    fields.push({ ...field, name, offset: size });
    size += field.bytes;
  }
  const byName = new Map(fields.map((field) => [field.name, field]));
  const fieldOf = (name: string): PlacedField => byName.get(name) as PlacedField; // the table has every key of T

  return {
    bytes: size,
    fields,
    offsetOf(name) {
      return fieldOf(name).offset;
    },
    bytesOf(name) {
      return fieldOf(name).bytes;
    },
    read(bytes, offset = 0) {
      const view = viewOf(bytes, offset, size);
      const record: Record<string, unknown> = {};
      for (const field of fields) record[field.name] = readField(view, field);
      return record as T;
    },
    write(record, bytes, offset = 0) {
      const view = viewOf(bytes, offset, size);
      const values = record as Record<string, unknown>;
      for (const field of fields) {
        if (field.kind === 'bytes') bytes.set(values[field.name] as Uint8Array, offset + field.offset);
        else writeField(view, field, values[field.name]);
      }
    },
    set(name, value, bytes) {
      writeField(viewOf(bytes, 0, size), fieldOf(name), value);
    },
  };
}

/** A view of `size` bytes of `bytes`, never of what lies behind them in the same buffer. */
function viewOf(bytes: Uint8Array, offset: number, size: number): DataView {
  if (offset + size > bytes.length) {
    throw new RangeError(`a record of ${size} bytes at offset ${offset} runs past ${bytes.length} bytes`);
  }
  return new DataView(bytes.buffer, bytes.byteOffset + offset, size);
}

/** The value of one field, read from a view of its record. */
export function readField(view: DataView, field: PlacedField): number | bigint | Uint8Array {
  switch (field.kind) {
    case 'u8':
      return view.getUint8(field.offset);
    case 'u16':
      return view.getUint16(field.offset, true);
    case 'u32':
      return view.getUint32(field.offset, true);
    case 'u64':
      return view.getBigUint64(field.offset, true);
    case 'bytes':
      break;
  }
  return new Uint8Array(view.buffer, view.byteOffset + field.offset, field.bytes).slice();
}

function writeField(view: DataView, field: PlacedField, value: unknown): void {
  switch (field.kind) {
    case 'u8':
      view.setUint8(field.offset, value as number);
      break;
    case 'u16':
      view.setUint16(field.offset, value as number, true);
      break;
    case 'u32':
      view.setUint32(field.offset, value as number, true);
      break;
    case 'u64':
      view.setBigUint64(field.offset, value as bigint, true);
      break;
    case 'bytes':
      new Uint8Array(view.buffer, view.byteOffset + field.offset, field.bytes).set(value as Uint8Array);
  }
}
