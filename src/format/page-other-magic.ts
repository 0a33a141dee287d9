import { decodePage } from './page.ts';
import { PageFacts } from './page-facts.ts';
import { PAGE_HEADER, PAGE_MAGIC, PAGE_VERSION, type PageFormat } from './page-header.ts';
import { firstError, PAGE_CHECKS } from './page-invariants.ts';
import type { DirectoryScratch } from './page-v2.ts';

const OTHER: Readonly<Record<PageFormat, PageFormat>> = { v1: 'v2', v2: 'v1' };

/**
 * The page under the magic of the other format, where it has errors under its own and is sound so: its checksum holds, or
 * it has none and there is nothing else to say against it. Version and flags tell the formats apart as well, so by chance
 * 32 bits have to agree.
 * @param scratch - may hold the directory that `facts` has
 * @returns the page with its magic put right in `facts.page.block`; undefined with nothing changed where there is none
 */
export function underOtherMagic({ page, blockId }: PageFacts, scratch: DirectoryScratch): PageFacts | undefined {
  const { block, format, header } = page;
  const other = OTHER[format];
  // A V1 directory is read where it stands, so the scratch is that of one of the two alone.
  if (header.version !== PAGE_VERSION[other]) return undefined;
  PAGE_HEADER.set('magic', PAGE_MAGIC[other], block);
  const mended = decodePage(block, scratch);
  const facts = mended && new PageFacts(mended, blockId);
  if (facts && firstError(facts) === undefined && isVouchedFor(facts)) return facts;
  PAGE_HEADER.set('magic', header.magic, block);
  return undefined;
}

function isVouchedFor(facts: PageFacts): boolean {
  return facts.hasChecksum || [...PAGE_CHECKS.NODES_WITHOUT_DIRECTORY(facts)].length === 0;
}
