import { readBuffer } from '../bytes/read-buffer.ts';
import type { CommittedView } from '../disk/committed-view.ts';
import { NO_PROBLEMS, type Problem } from '../format/invariants.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import { decodePage } from '../format/page.ts';
import { PageFacts } from '../format/page-facts.ts';
import { firstError } from '../format/page-invariants.ts';
import { underOtherMagic } from '../format/page-other-magic.ts';
import { DirectoryScratch } from '../format/page-v2.ts';
import { CheckedPage, type Demands } from './checked-page.ts';
import { linkOf, lookAtOther, markOf, type OtherBlock } from './other-block.ts';
import { NO_LINK } from './other-blocks.ts';
import { RULES } from './rules.ts';
import { type BlockRange, emptyBatch, type ScanBatch, type ScanSettings } from './scan-batch.ts';

const PAGE_CHECKS = RULES.flatMap(({ check }) => check.page ?? []);
const OTHER_CHECKS = RULES.flatMap(({ check }) => check.other ?? []);

/** What a scan reads into; for one range after the other, not for two at a time. */
export class ScanMemory {
  readonly block: Uint8Array = readBuffer(BLOCK_BYTES);
  readonly scratch: DirectoryScratch = new DirectoryScratch();
}

/**
 * Looks at each block of a range, once, in order, and goes on after each problem. It does as much as one batch at a
 * time, so what is not taken is not kept.
 * @throws {@link PageStoreError} `IO`
 */
export async function* scanRange(
  view: CommittedView,
  { first, end }: BlockRange,
  { demands, rootBlock, batchBlocks, batchProblems }: ScanSettings,
  { block: target, scratch }: ScanMemory = new ScanMemory(),
): AsyncGenerator<ScanBatch> {
  let batch = emptyBatch();
  for (let block = first; block < end; block++) {
    const found = await readBlock(view, block, target, scratch);
    let problems: Iterable<Problem>;
    if (found) {
      const page = checkedPage(found, demands, scratch);
      const slots = page.facts.page.directory.count;
      batch.pages++;
      batch.nodes += slots;
      if (block === rootBlock) batch.rootPageSlots = slots;
      problems = pageProblems(page);
    } else {
      const other = lookAtOther(target, block, scratch);
      batch.otherIds.push(block);
      batch.otherLinks.push(markOf(target, other, scratch));
      problems = otherProblems(other);
    }
    for (const problem of problems) {
      batch.problems.push(problem);
      if (batch.problems.length < batchProblems) continue;
      yield batch;
      batch = emptyBatch();
    }
    batch.blocks++;
    if (batch.blocks < batchBlocks) continue;
    yield batch;
    batch = emptyBatch();
  }
  if (batch.blocks > 0) yield batch;
}

/** A page that was read, and the first thing that is wrong with it. */
interface FoundPage {
  readonly facts: PageFacts;
  readonly error: Problem | undefined;
}

/**
 * Reads a block: again, where it does not look sound, for as long as it changes.
 * @returns what is known of the page in `target`; undefined where it is none
 */
async function readBlock(
  view: CommittedView,
  block: number,
  target: Uint8Array,
  scratch: DirectoryScratch,
): Promise<FoundPage | undefined> {
  let found: FoundPage | undefined;
  const bytes = await view.readSettled(block, target, () => {
    found = pageIn(target, block, scratch);
    return found ? found.error === undefined : linkOf(target) !== NO_LINK;
  });
  // What it has was looked at as if the rest of the buffer were its own; the file has been cut since it was opened.
  if (bytes < BLOCK_BYTES) {
    target.fill(0, bytes);
    return pageIn(target, block, scratch);
  }
  return found;
}

function pageIn(bytes: Uint8Array, block: number, scratch: DirectoryScratch): FoundPage | undefined {
  const page = decodePage(bytes, scratch);
  if (page === undefined) return undefined;
  const facts = new PageFacts(page, block);
  return { facts, error: firstError(facts) };
}

/** A page that is sound but for a magic of the other format has nothing else said of it. */
function checkedPage({ facts, error }: FoundPage, demands: Demands, scratch: DirectoryScratch): CheckedPage {
  const other = error && underOtherMagic(facts, scratch);
  return other ? new CheckedPage(other, demands, facts.page.header.magic) : new CheckedPage(facts, demands);
}

function* pageProblems(page: CheckedPage): Generator<Problem> {
  for (const check of PAGE_CHECKS) {
    const problems = check(page);
    if (problems !== NO_PROBLEMS) yield* problems;
  }
}

function* otherProblems(block: OtherBlock): Generator<Problem> {
  for (const check of OTHER_CHECKS) yield* check(block);
}
