import {
  assertOneOf,
  assertPathOrBlockFile,
  assertPieces,
  checkOptions,
  hasLostMemory,
  isBytes,
  wrongType,
} from '../arguments.ts';
import { KeyArena } from '../arena/key-arena.ts';
import { KeyMap } from '../arena/key-map.ts';
import { copyRange } from '../bytes/buffer.ts';
import { counted, utf8Bytes, utf8Text, writeUtf8 } from '../bytes/encodings.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { fillNewFile } from '../disk/node-create.ts';
import { ownershipOf } from '../disk/node-owner.ts';
import { type ErrorCode, PageStoreError } from '../errors.ts';
import type { PageFormat } from '../format/page-header.ts';
import { maxNodeBytes } from '../format/page.ts';
import { PageFileBuilder } from '../store/page-file-builder.ts';
import { BatchNodes, CellKeys, MAX_KEY_BYTES, writeKeyAndLength, writeLatin1 } from './csv-keys.ts';
import { type CsvRecord, CsvRecords } from './csv-records.ts';
import { IMPORT_OPTION_KINDS, type ImportOptions, type ImportReport } from './import.ts';
import { lineError, shown } from './import-lines.ts';
import { KeyRefs } from './key-refs.ts';

/** For {@link importCsv}. */
export interface ImportCsvOptions extends ImportOptions {
  /** The first part of every key: a name without '/'. */
  readonly table: string;
  /** The column whose cells are the rows in the keys; its cells must differ. Default: rows are 1, 2, 3 and so on. */
  readonly id?: string;
  /** Stores the keys without the values. */
  readonly keysOnly?: boolean;
  /** Called after each batch of about 256 KiB with its keys and the refs of their nodes, which are valid until it returns. */
  readonly onKeys?: (keys: KeyRefs) => void | Promise<void>;
  /** Called when the target is durable, before it appears at its path. An error that it throws discards the target. */
  readonly onDurable?: () => void | Promise<void>;
  /** Called when the target has its name. An error that it throws undoes that, and a replaced file is back. */
  readonly onPublished?: () => void | Promise<void>;
}

/** The result of {@link importCsv}. Each cell is a node. */
export interface ImportCsvReport extends ImportReport {
  /** Records after the header. */
  readonly rows: number;
  readonly columns: number;
}

/**
 * Creates a page file with a node for each cell of a CSV file (RFC 4180), in the order of the cells: the length of the
 * key as u16, little-endian, the key `table/row/column`, and the bytes of the cell. The first record has the names of the
 * columns. A batch of cells is in memory, and with `id` also the ids of all rows.
 * @param rows - pieces of the CSV file, split anywhere, each used until the next one is requested
 * @param target - as for `importNodes`
 * @throws {@link PageStoreError} `INVALID_LINE` and `NODE_TOO_LARGE`, with the line; otherwise as `importNodes`; what
 * `onKeys`, `onDurable` and `onPublished` throw
 * @see docs/cli.md#import
 */
export async function importCsv(
  rows: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  target: string | BlockFile,
  options: ImportCsvOptions,
): Promise<ImportCsvReport> {
  assertPieces('importCsv', 'rows', rows);
  assertPathOrBlockFile('importCsv', 'target', target);
  checkOptions('importCsv', options, {
    ...IMPORT_OPTION_KINDS,
    table: 'any',
    id: 'string',
    keysOnly: 'boolean',
    onKeys: 'function',
    onDurable: 'function',
    onPublished: 'function',
  });
  assertOneOf('importCsv', 'options.pageFormat', options.pageFormat, ['v1', 'v2']);
  if (typeof options.table !== 'string' || options.table.includes('/'))
    throw wrongType('importCsv: options.table', "a name without '/'", options.table);
  const [table, id] = [utf8(options.table), options.id === undefined ? undefined : utf8(options.id)];
  const fill = (file: BlockFile): Promise<ImportCsvReport> => importInto(file, rows, table, id, options);
  const { replace = false, keepOwner = false } = options;
  const ownership = replace && keepOwner && typeof target === 'string' ? await ownershipOf(target) : undefined;
  return fillNewFile(target, replace, fill, { ...options, ...ownership });
}

/** @throws TypeError for a lone surrogate */
function utf8(text: string): Buffer {
  const bytes = Buffer.alloc(utf8Bytes(text));
  writeUtf8(text, bytes, 0);
  return bytes;
}

async function importInto(
  file: BlockFile,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  table: Buffer,
  id: Buffer | undefined,
  options: ImportCsvOptions,
): Promise<ImportCsvReport> {
  const records = await CsvRecords.open();
  const builder = await PageFileBuilder.begin(file, options.signal);
  let cells: CellImporter | undefined;
  const add = async (parsed: AsyncIterable<readonly CsvRecord[]>): Promise<void> => {
    for await (const some of parsed) {
      options.signal?.throwIfAborted();
      for (const record of some) {
        if (cells !== undefined) {
          const pending = cells.add(record); // most records need no promise
          if (pending) await pending;
        } else {
          cells = new CellImporter(builder, columnsOf(record, id), table, options);
          records.expectColumns(record.cells.length);
        }
      }
    }
  };
  for await (const chunk of chunks) {
    if (!isBytes(chunk))
      throw new TypeError('importCsv: rows must be an iterable of Uint8Arrays; encode text with TextEncoder');
    if (hasLostMemory(chunk))
      throw new TypeError('importCsv: a chunk of rows is detached: its buffer was transferred before it was read');
    await add(records.parse(chunk));
  }
  await add(records.end());
  if (cells === undefined)
    throw lineError(
      'the input has no header, a line with the names of the columns; did the command that writes it fail?',
    );
  return cells.finish();
}

interface Columns {
  readonly names: readonly Buffer[];
  /** Where the rows' ids are, or -1. */
  readonly id: number;
}

const headerError = (message: string): PageStoreError => lineError(`line 1 of the input: ${message}`);

function columnsOf({ cells }: CsvRecord, id: Buffer | undefined): Columns {
  if (cells.length === 1 && cells[0] === '') throw headerError('it is empty; expected the names of the columns');
  const names = cells.map((cell) => Buffer.from(cell, 'latin1'));
  const seen = new Set<string>();
  for (const [at, cell] of cells.entries()) {
    if (seen.has(cell)) {
      const message = `two columns have the name ${shownBytes(cell)}, the second is column ${at + 1}`;
      throw headerError(`${message}; expected different names`);
    }
    seen.add(cell);
  }
  const idColumn = id === undefined ? -1 : names.findIndex((name) => name.equals(id));
  if (id !== undefined && idColumn < 0) {
    const expected = cells.slice(0, 10).map(shownBytes).join(', ');
    throw headerError(
      `no column has the name ${shown(id.toString())}; found ${expected}${cells.length > 10 ? ' and others' : ''}`,
    );
  }
  return { names, id: idColumn };
}

const CARRIAGE_RETURN = 0x0d;

/** Each cell: a key in the key arena, a node in the arena of the epoch, and at the end of the batch a slot in a page. */
class CellImporter {
  readonly #builder: PageFileBuilder;
  readonly #columns: Columns;
  readonly #options: ImportCsvOptions;
  readonly #format: PageFormat;
  readonly #maxNodeBytes: number;
  readonly #cellKeys: CellKeys;
  readonly #ids: KeyMap<undefined> | undefined;
  readonly #keys = new KeyArena();
  readonly #nodes = new BatchNodes();
  readonly #refs: KeyRefs | undefined;
  /** Of each node of the batch, if refs are wanted. */
  #batchKeys: number[] = [];
  #rows = 0;
  #bytes = 0;
  #row: Buffer = Buffer.alloc(0);

  constructor(builder: PageFileBuilder, columns: Columns, table: Buffer, options: ImportCsvOptions) {
    this.#builder = builder;
    this.#columns = columns;
    this.#options = options;
    this.#format = options.pageFormat ?? 'v1';
    this.#maxNodeBytes = maxNodeBytes(this.#format);
    this.#cellKeys = new CellKeys(table, columns.names);
    this.#ids = columns.id < 0 ? undefined : new KeyMap<undefined>();
    this.#refs = options.onKeys && new KeyRefs();
  }

  /** @returns a promise if the batch is complete */
  add(record: CsvRecord): Promise<void> | undefined {
    const { cells } = record;
    const columns = this.#columns.names.length;
    this.#rows++;
    if (cells.length !== columns) {
      const empty = cells.length === 1 && cells[0] === '' ? ', an empty line' : '';
      throw this.#error(
        record,
        `it has ${counted(cells.length, 'cell')}${empty}; expected ${columns}, as in the header`,
      );
    }
    this.#cellKeys.beginRow(this.#rowOf(record));
    return this.#addCells(record, 0);
  }

  async finish(): Promise<ImportCsvReport> {
    const builder = this.#builder;
    await this.#endBatch();
    if (this.#rows === 0 && this.#columns.names.some((name) => name.includes(CARRIAGE_RETURN)))
      throw lineError(
        'line 1 of the input: a carriage return without a line feed; expected lines that end with LF or CRLF',
      );
    if (builder.slotCount > 0) await builder.endPage(false, 'open');
    await builder.finish();
    await this.#options.onDurable?.();
    const { block: blocks, nodes } = builder;
    const counts = { blocks, pages: blocks - 1, freeBlocks: 0, nodes, lostSlots: 0, bytes: this.#bytes };
    return { refs: 'new', ...counts, rows: this.#rows, columns: this.#columns.names.length };
  }

  /** The bytes of the row in the keys: the number of the record, or its id, which must be another one in each record. */
  #rowOf(record: CsvRecord): Buffer {
    const { id } = this.#columns;
    if (this.#ids === undefined) return Buffer.from(String(this.#rows), 'latin1');
    const cell = record.cells[id] as string; // the number of cells has been checked
    if (cell.includes('/'))
      throw this.#error(record, `the id ${shownBytes(cell)} has a '/', which separates the parts of a key`, id);
    if (this.#row.length < cell.length) this.#row = Buffer.alloc(2 * cell.length);
    writeLatin1(cell, this.#row, 0);
    const row = this.#row.subarray(0, cell.length);
    // One entry for each record before this one.
    const entry = this.#ids.entryOf(row);
    if (entry !== this.#rows - 1)
      throw this.#error(
        record,
        `the id ${shownBytes(cell)} is also that of record ${entry + 1}; expected another one`,
        id,
      );
    return row;
  }

  /** @returns a promise if a batch was completed */
  #addCells(record: CsvRecord, from: number): Promise<void> | undefined {
    for (let column = from; column < record.cells.length; column++) {
      this.#addCell(record, column);
      if (this.#nodes.isFull) return this.#endBatchWithin(record, column + 1);
    }
    return undefined;
  }

  async #endBatchWithin(record: CsvRecord, next: number): Promise<void> {
    await this.#endBatch();
    const pending = this.#addCells(record, next);
    if (pending) await pending;
  }

  #addCell(record: CsvRecord, column: number): void {
    const keys = this.#cellKeys;
    const keyBytes = keys.lengthOf(column);
    if (keyBytes > MAX_KEY_BYTES)
      throw this.#error(record, `the key would have ${keyBytes} bytes; expected at most ${MAX_KEY_BYTES}`, column);
    const { keysOnly = false } = this.#options;
    const cell = keysOnly ? '' : (record.cells[column] as string); // there is one for each column
    const bytes = keysOnly ? keyBytes : 2 + keyBytes + cell.length;
    if (bytes > this.#maxNodeBytes) {
      const node = `the cell has ${cell.length} bytes, and with its key the node has ${bytes}`;
      const expected = `at most ${this.#maxNodeBytes}, which a ${this.#format} page holds`;
      throw this.#error(record, `${node}; expected ${expected}`, column, 'NODE_TOO_LARGE');
    }
    keys.build(column);
    const key = this.#keys.add(keys.bytes, 0, keyBytes);
    if (this.#refs) this.#batchKeys.push(key);
    const { room, end } = this.#nodes;
    if (keysOnly) copyRange(keys.bytes, 0, keyBytes, room, end);
    else writeLatin1(cell, room, writeKeyAndLength(keys.bytes, keyBytes, room, end));
    this.#nodes.allocate(bytes);
  }

  /** Moves the nodes of the batch from the arena into pages, and ends its epoch. */
  async #endBatch(): Promise<void> {
    const builder = this.#builder;
    if (this.#nodes.end === 0) return;
    if (builder.slotCount === 0) await builder.beginPage(this.#format);
    let added = 0;
    for (const { source, base, words, at, end } of this.#nodes.take()) {
      for (let next = at; next < end;) {
        const slot = builder.slotCount;
        next = builder.addRanges(source, base, words, next, end);
        added = this.#addRefs(added, slot);
        if (next === end) break;
        await builder.endPage(false, 'full');
        await builder.beginPage(this.#format);
      }
    }
    this.#bytes += this.#nodes.end;
    if (this.#refs) await this.#options.onKeys?.(this.#refs);
    this.#refs?.clear();
    this.#batchKeys = [];
    this.#keys.reset();
    this.#nodes.endEpoch();
  }

  /** Of the nodes of the current page from `slot` on. @param from - of the first in the batch @returns that after them */
  #addRefs(from: number, slot: number): number {
    const { block, slotCount } = this.#builder;
    const to = from + slotCount - slot;
    const refs = this.#refs;
    if (refs === undefined) return to;
    for (let at = from; at < to; at++)
      refs.add(this.#keys.bytes(this.#batchKeys[at] as number), block, slot + at - from); // each node has one
    return to;
  }

  #error({ line }: CsvRecord, message: string, column = -1, code: ErrorCode = 'INVALID_LINE'): PageStoreError {
    const name = this.#columns.names[column];
    const cell = name === undefined ? '' : `, column ${shown(utf8Text(name))}`;
    return new PageStoreError(code, `line ${line} of the input (record ${this.#rows}${cell}): ${message}`);
  }
}

/** Text of a cell for a message, short and in quotes. */
function shownBytes(cell: string): string {
  return shown(utf8Text(Buffer.from(cell.slice(0, 200), 'latin1')));
}
