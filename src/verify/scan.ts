import { Hash64 } from '../bytes/checksum.ts';
import type { CommittedView } from '../disk/committed-view.ts';
import { betweenBlocks } from '../disk/long-work.ts';
import type { PageFacts } from '../format/page-checks.ts';
import { addHead } from '../format/digest.ts';
import { commitOf, freedNodes } from '../format/page-header.ts';
import { NO_PROBLEMS, type Problem } from '../format/problem.ts';
import type { DirectoryScratch } from '../format/v2-directory.ts';
import { BlockReader } from '../salvage/block-kind.ts';
import { underOtherMagic } from '../salvage/page-candidates.ts';
import { type Check, CheckedPage, type Requirements } from './page-rules.ts';
import { RULES } from './rules.ts';

/** `first` inclusive, `end` exclusive. */
export interface BlockRange {
  readonly first: number;
  readonly end: number;
}

export interface ScanSettings {
  readonly requirements: Requirements;
  /** The block whose slots are counted for the root record; 0 for none. */
  readonly rootBlock: number;
  readonly batchBlocks: number;
  /** Blocks [openFrom, openEnd) are not in the sum. */
  readonly openFrom: number;
  readonly openEnd: number;
}

const BATCH_PROBLEMS = 256;

/** Findings of some blocks, in order. Plain data, which threads can send. */
export interface ScanBatch {
  /** Blocks finished since the previous batch. */
  blocks: number;
  pages: number;
  /** Without lost slots. */
  nodes: number;
  lostSlots: number;
  /** In pages that another program has freed. */
  freedNodes: number;
  /** Of the hashes of block headers, for the digest. */
  readonly sum: Hash64;
  /** Highest commit number in a page with a checksum and without errors, and its block. */
  newest: { readonly block: number; readonly commit: number };
  readonly problems: Problem[];
  readonly otherIds: number[];
  readonly otherLinks: number[];
  /** Set if the root block is a page in this batch. */
  rootPageSlots?: number;
}

export const NO_PAGE: ScanBatch['newest'] = { block: 0, commit: 0 };

function emptyBatch(): ScanBatch {
  // One literal: with a spread, V8 keeps the garbage of each batch until the next full collection.
  return {
    blocks: 0,
    pages: 0,
    nodes: 0,
    lostSlots: 0,
    freedNodes: 0,
    sum: new Hash64(),
    newest: NO_PAGE,
    problems: [],
    otherIds: [],
    otherLinks: [],
  };
}

const PAGE_CHECKS = RULES.flatMap(({ page }) => page ?? []);
const NON_PAGE_CHECKS = RULES.flatMap(({ nonPage }) => nonPage ?? []);

/** Checks each block once, in order. A batch is computed only when it is requested, to bound memory. */
export async function* scanRange(
  view: CommittedView,
  { first, end }: BlockRange,
  { requirements, rootBlock, batchBlocks, openFrom, openEnd }: ScanSettings,
  reader: BlockReader = new BlockReader(),
): AsyncGenerator<ScanBatch> {
  let batch = emptyBatch();
  for (let block = first; block < end; block++) {
    const pause = betweenBlocks(block, end, {});
    if (pause) await pause;
    await reader.read(view, block);
    if (block < openFrom || block >= openEnd) addHead(batch.sum, block, reader.bytes);
    let problems: Iterable<Problem>;
    if (reader.page) {
      const page = checkedPage(reader.page, requirements, reader.scratch);
      const slots = page.facts.page.directory.count;
      batch.pages++;
      const { lostSlots } = page.facts;
      batch.nodes += slots - lostSlots;
      batch.lostSlots += lostSlots;
      // Without a checksum, the number may be damaged.
      if (page.facts.hasChecksum && !page.facts.error && commitOf(reader.bytes) > batch.newest.commit)
        batch.newest = { block, commit: commitOf(reader.bytes) };
      if (block === rootBlock) batch.rootPageSlots = slots;
      problems = problemsOf(PAGE_CHECKS, page);
    } else {
      const other = reader.nonPage();
      batch.freedNodes += freedNodes(reader.bytes);
      batch.otherIds.push(block);
      batch.otherLinks.push(other.mark);
      problems = problemsOf(NON_PAGE_CHECKS, other);
    }
    for (const problem of problems) {
      batch.problems.push(problem);
      if (batch.problems.length < BATCH_PROBLEMS) continue;
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

/** A page that is valid but for its magic is checked in its own format. */
function checkedPage(facts: PageFacts, requirements: Requirements, scratch: DirectoryScratch): CheckedPage {
  const other = facts.error && underOtherMagic(facts, scratch);
  return other ? new CheckedPage(other, requirements, facts.page.header.magic) : new CheckedPage(facts, requirements);
}

function* problemsOf<Facts>(checks: readonly Check<Facts>[], facts: Facts): Generator<Problem> {
  for (const check of checks) {
    const problems = check(facts);
    if (problems !== NO_PROBLEMS) yield* problems;
  }
}
