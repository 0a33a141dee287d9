import { expect, test } from 'vitest';
import { readFormatDocument, withTables } from '../support/format-tables.ts';

test('the byte tables of docs/format.md are those of the code', () => {
  const document = readFormatDocument();
  expect(document).toContain('| 24 | u32 | blockCount |');
  expect(withTables(document)).toBe(document);
  // A table that has drifted is noticed.
  expect(withTables(document.replace('| 24 | u32 | blockCount |', '| 25 | u32 | blockCount |'))).toBe(document);
});
