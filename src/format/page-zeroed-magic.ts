import { hex, type Problem } from './invariants.ts';
import { decodePage } from './page.ts';
import { PageFacts } from './page-facts.ts';
import { PAGE_FLAG, PAGE_HEADER, PAGE_MAGIC, PAGE_VERSION, type PageFormat } from './page-header.ts';
import { firstError } from './page-invariants.ts';
import { fieldPlace } from './page-problem.ts';
import type { DirectoryScratch } from './page-v2.ts';

/**
 * The format of the page in a block that begins with 8 zero bytes: the one that its version says, where it is a sound page
 * with that magic, and its checksum holds. A block that another program has freed, by those 8 bytes alone, looks the same.
 * @param block - 262,144 bytes; they are what they were when it returns
 * @returns undefined where the block begins otherwise, or is no such page
 */
export function formatUnderZeros(
  block: Uint8Array,
  blockId: number,
  scratch?: DirectoryScratch,
): PageFormat | undefined {
  const { magic, version, flags } = PAGE_HEADER.read(block);
  const format = FORMATS.find((each) => PAGE_VERSION[each] === version);
  if (magic !== 0n || format === undefined || (flags & PAGE_FLAG.hasChecksum) === 0) return undefined;
  PAGE_HEADER.set('magic', PAGE_MAGIC[format], block);
  const page = decodePage(block, scratch);
  const facts = page && new PageFacts(page, blockId);
  const isSound = facts?.checksumState === 'match' && firstError(facts) === undefined;
  PAGE_HEADER.set('magic', 0n, block);
  return isSound ? format : undefined;
}

/** What is said of such a page where nobody else can have made a block look so. */
export function zeroedMagicProblem(block: number, format: PageFormat): Problem {
  const expected = hex(PAGE_MAGIC[format], 16);
  const message = `block ${block} begins with 8 zero bytes in the place of ${expected}, the magic of a page; all else in it is that of a sound page`;
  return {
    code: 'PAGE_MAGIC',
    severity: 'error',
    ...fieldPlace(block, 'magic'),
    found: hex(0n, 16),
    expected,
    message,
  };
}

const FORMATS = ['v1', 'v2'] as const;
