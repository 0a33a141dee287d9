// The byte tables of docs/format.md, made from the field tables of the code.
// `node --import tsx test/support/format-tables.ts` writes them into the document; a test fails when they drift.

import { readFileSync, writeFileSync } from 'node:fs';
import type { PlacedField } from '../../src/bytes/record.ts';
import { COMMIT_RECORD, RECORD_DIGEST } from '../../src/format/commit-record.ts';
import { DIGEST } from '../../src/format/digest.ts';
import { FILE_HEADER, HEADER_COPY, ROOT_DESCRIPTOR } from '../../src/format/file-header.ts';
import { FILE_ID } from '../../src/format/file-id.ts';
import { JOURNAL_HEADER } from '../../src/format/journal.ts';
import { PAGE_HEADER } from '../../src/format/page-header.ts';
import { PATCH_HEADER, PATCH_JOURNAL_HEADER } from '../../src/format/journal.ts';
import { V1_SLOT } from '../../src/format/v1-page.ts';
import { UNDO_HEADER } from '../../src/format/journal.ts';

const TABLES: Readonly<Record<string, readonly PlacedField[]>> = {
  'file-header': FILE_HEADER.fields,
  'root-descriptor': ROOT_DESCRIPTOR.fields,
  'file-id': FILE_ID.fields,
  'header-copy': HEADER_COPY.fields,
  'page-header': PAGE_HEADER.fields,
  'v1-slot': V1_SLOT.fields,
  'commit-record': COMMIT_RECORD.fields,
  'record-digest': RECORD_DIGEST.fields,
  digest: DIGEST.fields,
  journal: JOURNAL_HEADER.fields,
  'patch-journal': PATCH_JOURNAL_HEADER.fields,
  patch: PATCH_HEADER.fields,
  undo: UNDO_HEADER.fields,
};

const FORMAT_DOCUMENT = new URL('../../docs/format.md', import.meta.url);

function tableOf(fields: readonly PlacedField[]): string {
  const rows = fields.map(
    ({ offset, kind, bytes, name, doc }) =>
      `| ${offset} | ${kind === 'bytes' ? `${bytes} bytes` : kind} | ${name} | ${doc} |`,
  );
  return ['| offset | type | field | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** The document with each table between its markers made anew. @throws where a table has no markers */
export function withTables(document: string): string {
  let result = document;
  for (const [name, fields] of Object.entries(TABLES)) {
    const [begin, end] = [`<!-- table: ${name} -->`, `<!-- end: ${name} -->`];
    const [from, to] = [result.indexOf(begin), result.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`docs/format.md has no markers for the table ${name}`);
    result = `${result.slice(0, from + begin.length)}\n\n${tableOf(fields)}\n\n${result.slice(to)}`;
  }
  return result;
}

export const readFormatDocument = (): string => readFileSync(FORMAT_DOCUMENT, 'utf8');

if (process.argv[1] === new URL(import.meta.url).pathname)
  writeFileSync(FORMAT_DOCUMENT, withTables(readFormatDocument()));
