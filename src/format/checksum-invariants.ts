import { counted } from '../bytes/decimal.ts';
import { hex, NO_PROBLEMS, type Problem } from './invariants.ts';
import { checksummedDirectory, pageChecksum } from './page-checksum.ts';
import type { PageFacts } from './page-facts.ts';
import { fieldPlace, fieldProblem } from './page-problem.ts';

/** A checksum that is neither that of the page nor that of its first nodes. */
export function checksumMismatchProblems(facts: PageFacts): readonly Problem[] {
  if (facts.checksumState !== 'mismatch') return NO_PROBLEMS;
  const { blockId } = facts;
  const found = hex(facts.page.header.checksum, 8);
  const sum = sumOf(facts);
  const message =
    sum === undefined
      ? `page ${blockId}: the header gives no bounds to compute its checksum in`
      : `page ${blockId}: checksum is ${found}, its bytes give ${sum}`;
  const expected = sum ?? 'the CRC-32 of the page';
  return [{ code: 'PAGE_CHECKSUM', severity: 'error', ...fieldPlace(blockId, 'checksum'), found, expected, message }];
}

/** The checksum that the bytes of a page ask for; undefined where its header gives no bounds for it. */
function sumOf({ isBounded, page }: PageFacts): string | undefined {
  const { format, block, header } = page;
  const directory = checksummedDirectory(format, header);
  const hasBounds = isBounded && directory.end <= block.length;
  return hasBounds ? hex(pageChecksum(block, header, directory), 8) : undefined;
}

/** A checksum of the nodes that a V1 page had before another program appended to it. */
export function checksumStaleProblems(facts: PageFacts): readonly Problem[] {
  if (facts.checksumState !== 'stale') return NO_PROBLEMS;
  const { blockId, page } = facts;
  const { nodeCount, checksumNodeCount } = page.header;
  const message = `page ${blockId}: the checksum covers ${checksumNodeCount} of ${counted(nodeCount, 'node')}: another program has appended since`;
  const [found, expected] = [String(checksumNodeCount), String(nodeCount)];
  const place = fieldPlace(blockId, 'checksumNodeCount');
  return [{ code: 'PAGE_CHECKSUM_STALE', severity: 'warning', ...place, found, expected, message }];
}

/** Fields of a checksum in a page without one: otherwise one flipped flag would hide whatever else is wrong. */
export function checksumFieldProblems({ hasChecksum, blockId, page }: PageFacts): readonly Problem[] {
  if (hasChecksum) return NO_PROBLEMS;
  const { header } = page;
  return (['checksum', 'directoryLength', 'checksumNodeCount'] as const)
    .filter((field) => header[field] !== 0)
    .map((field) =>
      fieldProblem(blockId, 'PAGE_CHECKSUM_FIELDS', field, header[field], '0, in a page without HAS_CHECKSUM'),
    );
}

/** A page without a checksum is unverified, not damaged. */
export function checksumAbsentProblems({ hasChecksum, blockId, page }: PageFacts): readonly Problem[] {
  if (hasChecksum) return NO_PROBLEMS;
  const message = `page ${blockId}: no checksum, so its bytes cannot be verified`;
  const found = hex(page.header.flags, 4);
  const expected = '0x0002 (HAS_CHECKSUM) set';
  const place = fieldPlace(blockId, 'flags');
  return [{ code: 'PAGE_CHECKSUM_ABSENT', severity: 'info', ...place, found, expected, message }];
}
