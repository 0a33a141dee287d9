import { equalRange } from '../bytes/range.ts';
import { NODE_AREA_OFFSET } from '../format/layout.ts';
import { orphanedBytes, type Page } from '../format/page.ts';
import { PAGE_FLAG } from '../format/page-header.ts';
import type { BlockContent } from './block-walk.ts';
import type { BlockDifference, DifferenceLog } from './difference.ts';
import type { ComparedFile } from './compared-file.ts';

/** Compares two files block by block, and their pages slot by slot. */
export async function diffPages(
  a: ComparedFile,
  b: ComparedFile,
  log: DifferenceLog,
  onBlock: () => Promise<void>,
): Promise<void> {
  const blockCount = Math.max(a.walk.blockCount, b.walk.blockCount);
  for (let block = 1; block < blockCount && !log.isStopped; block++) {
    const [inA, inB] = await Promise.all([a.walk.next(), b.walk.next()]);
    if (inA?.kind === 'damaged') await log.damaged('a', inA.error);
    if (inB?.kind === 'damaged') await log.damaged('b', inB.error);
    // Of a block that a file has lost, the loss is told once, and not the nodes that it may have had.
    const lost = (inA === undefined && a.hasLost(block)) || (inB === undefined && b.hasLost(block));
    if (inA?.kind !== 'damaged' && inB?.kind !== 'damaged' && !lost) await diffBlock(block, inA, inB, log, [a, b]);
    await onBlock();
  }
}

async function diffBlock(
  block: number,
  inA: BlockContent | undefined,
  inB: BlockContent | undefined,
  log: DifferenceLog,
  [a, b]: readonly [ComparedFile, ComparedFile],
): Promise<void> {
  const pageA = inA?.kind === 'page' ? inA.page : undefined;
  const pageB = inB?.kind === 'page' ? inB.page : undefined;
  a.nodes += pageA?.directory.count ?? 0;
  b.nodes += pageB?.directory.count ?? 0;
  const contentA = inA?.kind ?? 'absent';
  const contentB = inB?.kind ?? 'absent';
  if (contentA !== contentB) await log.add({ type: 'block', block, field: 'content', a: contentA, b: contentB });
  if (pageA && pageB) {
    // Most pages of most files that are compared are the same to the last byte.
    if (Buffer.compare(pageA.block, pageB.block) === 0) return;
    await diffPageHeads(block, pageA, pageB, log);
    await diffSlots(block, pageA, pageB, log);
  }
  const common = pageA && pageB ? Math.min(pageA.directory.count, pageB.directory.count) : 0;
  if (pageA) await tellNodes('removed', block, pageA, common, log);
  if (pageB) await tellNodes('added', block, pageB, common, log);
}

async function diffPageHeads(block: number, pageA: Page, pageB: Page, log: DifferenceLog): Promise<void> {
  const tell = async (field: BlockDifference['field'], a: string, b: string): Promise<void> => {
    if (a !== b) await log.add({ type: 'block', block, field, a, b });
  };
  await tell('format', pageA.format, pageB.format);
  await tell('finalized', isFinalized(pageA), isFinalized(pageB));
  const [orphansA, orphansB] = [orphanedBytes(pageA), orphanedBytes(pageB)];
  if (orphansA === 0 && orphansB === 0) return;
  const same =
    orphansA === orphansB && equalRange(pageA.block, NODE_AREA_OFFSET, pageB.block, NODE_AREA_OFFSET, orphansA);
  if (!same) await log.add({ type: 'block', block, field: 'orphanedBytes', a: `${orphansA}`, b: `${orphansB}` });
}

const isFinalized = ({ header }: Page): string => ((header.flags & PAGE_FLAG.finalized) === 0 ? 'no' : 'yes');

async function diffSlots(block: number, pageA: Page, pageB: Page, log: DifferenceLog): Promise<void> {
  const { directory: inA, block: bytesA } = pageA;
  const { directory: inB, block: bytesB } = pageB;
  const common = Math.min(inA.count, inB.count);
  for (let slot = 0; slot < common && !log.isStopped; slot++) {
    const [aBytes, bBytes] = [inA.nodeBytes(slot), inB.nodeBytes(slot)];
    const [aStart, bStart] = [inA.nodeOffset(slot), inB.nodeOffset(slot)];
    if (aBytes === bBytes && equalRange(bytesA, aStart, bytesB, bStart, aBytes)) continue;
    let firstByte = 0;
    while (firstByte < aBytes && firstByte < bBytes && bytesA[aStart + firstByte] === bytesB[bStart + firstByte])
      firstByte++;
    const told = log.add({ type: 'changed', block, slot, aBytes, bBytes, firstByte });
    if (told) await told;
  }
}

async function tellNodes(
  type: 'added' | 'removed',
  block: number,
  page: Page,
  from: number,
  log: DifferenceLog,
): Promise<void> {
  const { directory } = page;
  for (let slot = from; slot < directory.count && !log.isStopped; slot++) {
    const told = log.add({ type, block, slot, bytes: directory.nodeBytes(slot) });
    if (told) await told;
  }
}
