import { isUtf8 } from 'node:buffer';
import { plural } from '../report/text.ts';
import { importCsv } from '../transfer/import-csv.ts';
import type { KeyRefs } from '../transfer/key-refs.ts';
import type { CommandRun } from './command.ts';
import type { ImportOptions, ImportResult } from './commands/import.ts';
import { lockOptions } from './open-to-write.ts';
import { OutputFile } from './output-file.ts';

interface CsvOptions extends ImportOptions {
  readonly csv: string;
  readonly table: string;
}

/** Runs `import --csv`. @param chunks - of the CSV file */
export async function importCsvFile(
  run: CommandRun,
  file: string,
  chunks: AsyncIterable<Uint8Array>,
  {
    csv,
    table,
    id,
    keysOnly = false,
    map: mapPath,
    pageFormat,
    force = false,
    replace = false,
    ...options
  }: CsvOptions,
): Promise<ImportResult> {
  const source = csv === '-' ? undefined : csv;
  const map = mapPath === undefined ? undefined : await OutputFile.forMap(mapPath, source, force);
  try {
    const { rows, columns, ...counts } = await importCsv(chunks, file, {
      ...lockOptions(run, file, options),
      table,
      keysOnly,
      replace: force || replace,
      keepOwner: replace,
      signal: run.signal,
      ...(id !== undefined && { id }),
      ...(pageFormat && { pageFormat }),
      ...(map && {
        onKeys: (keys) => writeKeys(map, keys),
        onDurable: () => map.finish(),
        onPublished: () => map.publish(),
      }),
    });
    await map?.confirm();
    const what = `${plural(rows, 'row')}, ${plural(counts.nodes, 'cell')}`;
    const where = `packed in the order of the input; ${plural(counts.blocks, 'block')}, ${plural(counts.pages, 'page')}`;
    return { text: `${what} ${where}`, fields: { ...counts, rows, columns, map: mapPath } };
  } catch (error) {
    await map?.discard();
    throw error;
  }
}

const LINE_FEED = 0x0a;

async function writeKeys(map: OutputFile, keys: KeyRefs): Promise<void> {
  for (let entry = 0; entry < keys.size; entry++) {
    const key = `${escapedKey(keys.keyAt(entry))}\t`;
    if (!map.tryWrite(key)) await map.write(key);
    while (!map.tryWriteRef(keys.blockAt(entry), keys.slotAt(entry), LINE_FEED)) await map.flush();
  }
}

/** Control characters, also of bidirectional text, and two separators that some readers take for line ends. */
const ESCAPED_IN_TEXT = /[\\\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const ESCAPED_IN_BYTES = /[^ -[\]-~]/g;
const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r', '\\': '\\\\' };

const hexEscape = (byte: number): string => `\\x${byte.toString(16).padStart(2, '0')}`;

/**
 * A key on one line, which `printf %b` turns back: a control character is `\t`, `\n`, `\r` or the `\xHH` of its bytes, and
 * a backslash is two. In a key that is not UTF-8, each byte above 0x7e is `\xHH`.
 */
function escapedKey(key: Uint8Array): string {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.length);
  const encoding = isUtf8(bytes) ? 'utf8' : 'latin1';
  return bytes.toString(encoding).replace(encoding === 'utf8' ? ESCAPED_IN_TEXT : ESCAPED_IN_BYTES, (character) => {
    return SHORT_ESCAPES[character] ?? Array.from(Buffer.from(character, encoding), hexEscape).join('');
  });
}
