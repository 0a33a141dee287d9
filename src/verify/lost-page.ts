import { hex, type Problem } from '../format/invariants.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';

/** What is said of a block that is no page, and of which a commit record has a page header. @param head - the bytes that it begins with */
export function lostPageProblem(block: number, head: Uint8Array): Problem {
  const found = hex(new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true), 16);
  return {
    code: 'BLOCK_UNKNOWN',
    severity: 'error',
    block,
    offset: fileOffset(block),
    bytes: BLOCK_BYTES,
    found,
    expected: 'the page header that a commit record has',
    message: `block ${block} begins with ${found}, and a commit record says that it is a page: its header is lost`,
  };
}
