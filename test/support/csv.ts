import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { importCsv, type ImportCsvOptions, type ImportCsvReport } from '../../src/transfer/import-csv.ts';
import { withoutFileId } from './files.ts';
import { specNodes } from './spec-reader.ts';

/** A node of a CSV file, taken apart by its description: u16 length, key, value. Characters are bytes. */
export type KeyAndValue = readonly [key: string, value: string];

export function partsOf(node: Uint8Array): KeyAndValue {
  const length = new DataView(node.buffer, node.byteOffset, node.length).getUint16(0, true);
  const bytes = Buffer.from(node);
  if (2 + length > node.length) throw new Error(`a node of ${node.length} bytes with a key of ${length}`);
  return [bytes.toString('latin1', 2, 2 + length), bytes.toString('latin1', 2 + length)];
}

export interface ImportedCsv {
  readonly report: ImportCsvReport;
  readonly bytes: Uint8Array;
  readonly nodes: readonly Uint8Array[];
}

const utf8 = (text: string | Uint8Array): Uint8Array => (typeof text === 'string' ? Buffer.from(text) : text);

/** Pieces of `bytes` in one buffer, each overwritten when the next one is requested. */
function* piecesOf(bytes: Uint8Array, pieceBytes: number): Generator<Uint8Array> {
  const buffer = new Uint8Array(pieceBytes);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes);
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
    buffer.fill(0x22);
  }
}

/** Imports a CSV file, in pieces of some size, and reads the result by the specification. */
export async function csvImported(
  csv: string | Uint8Array,
  options: Partial<ImportCsvOptions> = {},
  pieceBytes = 65_536,
): Promise<ImportedCsv> {
  const file = new MemoryBlockFile();
  const report = await importCsv(piecesOf(utf8(csv), pieceBytes), file, { table: 't', ...options });
  const bytes = withoutFileId(file.bytes);
  return { report, bytes, nodes: specNodes(bytes).map(({ bytes }) => bytes) };
}
