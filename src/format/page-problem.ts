import type { ProblemCode } from '../errors.ts';
import type { Problem } from './invariants.ts';
import { fileOffset } from './layout.ts';
import { PAGE_HEADER, type PageHeader } from './page-header.ts';

/** Where a field of a page's header is in the file. */
export function fieldPlace(blockId: number, field: keyof PageHeader): Pick<Problem, 'block' | 'offset' | 'bytes'> {
  const offset = fileOffset(blockId, PAGE_HEADER.offsetOf(field));
  return { block: blockId, offset, bytes: PAGE_HEADER.bytesOf(field) };
}

/** The error of a field of a page's header that has the wrong value. */
export function fieldProblem(
  blockId: number,
  code: ProblemCode,
  field: keyof PageHeader,
  found: number | string,
  expected: number | string,
): Problem {
  const message = `page ${blockId}: ${field} is ${found}, expected ${expected}`;
  const place = fieldPlace(blockId, field);
  return { code, severity: 'error', ...place, found: String(found), expected: String(expected), message };
}
