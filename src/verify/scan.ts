import { readBuffer } from '../bytes/buffer.ts';
import type { CommittedView } from '../disk/committed-view.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import { firstError, PageFacts } from '../format/page-checks.ts';
import { decodePage } from '../format/page.ts';
import { NO_PROBLEMS, type Problem } from '../format/problem.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { linkOf, lookAtOther, markOf, NO_LINK, type OtherBlock, underOtherMagic } from '../salvage/block-kind.ts';
import { CheckedPage, type Demands } from './checked-page.ts';
import { RULES } from './rules.ts';

/** Blocks of a file that are looked at together: `first` inclusive, `end` exclusive. */
export interface BlockRange {
  readonly first: number;
  readonly end: number;
}

/** What is looked for, and how much of what was found is handed over at once. */
export interface ScanSettings {
  readonly demands: Demands;
  /** The page whose slots are to be counted, for the root record; 0 for none. */
  readonly rootBlock: number;
  /** Most blocks in a batch. */
  readonly batchBlocks: number;
  /** Most problems in a batch. */
  readonly batchProblems: number;
}

/** What was found in some blocks, in the order of the blocks. Numbers and texts alone, so that a thread can send it. */
export interface ScanBatch {
  /** Blocks that were finished since the batch before. */
  blocks: number;
  pages: number;
  nodes: number;
  readonly problems: Problem[];
  /** Blocks that are no pages, and the link of each, as OtherBlocks takes them. */
  readonly otherIds: number[];
  readonly otherLinks: number[];
  /** Slots of the root block, where it is a page of this batch. */
  rootPageSlots?: number;
}

export function emptyBatch(): ScanBatch {
  return { blocks: 0, pages: 0, nodes: 0, problems: [], otherIds: [], otherLinks: [] };
}

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

/** Looks at one range of blocks after the other, as a thread does; it begins with a range once it has finished the one before. */
export interface RangeScanner {
  /** Batches of the range, in order. It works on one only when it is asked for it. */
  scan(range: BlockRange): AsyncIterator<ScanBatch>;
}

/** Ranges at work, or waiting for their turn, for each scanner. */
const RANGES_AHEAD = 2;

/**
 * Has several scanners look at a file, and gives their batches in the order of the blocks. Of each range but the one
 * whose turn it is there is one batch at most, so what is kept is bounded, however much is found.
 * @param rangeBlocks - blocks in a range
 * @throws what a scanner throws, once its range has its turn; an Error for a scanner that ends before its range does
 */
export async function* scanInOrder(
  scanners: readonly RangeScanner[],
  { first, end }: BlockRange,
  rangeBlocks: number,
): AsyncGenerator<ScanBatch> {
  const idle = [...scanners];
  const running: RunningRange[] = [];
  let next = first;
  const startRanges = (): void => {
    while (next < end && running.length < RANGES_AHEAD * scanners.length) {
      const scanner = idle.shift();
      if (scanner === undefined) return;
      const range = { first: next, end: Math.min(next + rangeBlocks, end) };
      next = range.end;
      const isFinished = (): void => {
        idle.push(scanner);
        startRanges();
      };
      running.push(new RunningRange(scanner.scan(range), range, isFinished));
    }
  };
  startRanges();
  for (let range = running[0]; range !== undefined; range = running[0]) {
    const batch = await range.batch;
    if (range.isFinished) running.shift();
    else range.advance();
    startRanges();
    yield batch;
  }
}

/** A range that a scanner is at work on, or has finished. */
class RunningRange {
  readonly #batches: AsyncIterator<ScanBatch>;
  readonly #onFinish: () => void;
  #blocksLeft: number;
  #batch: Promise<ScanBatch>;

  constructor(batches: AsyncIterator<ScanBatch>, { first, end }: BlockRange, onFinish: () => void) {
    this.#batches = batches;
    this.#blocksLeft = end - first;
    this.#onFinish = onFinish;
    this.#batch = this.#take();
  }

  /** The batch that was asked for last. */
  get batch(): Promise<ScanBatch> {
    return this.#batch;
  }

  /** Whether the batch that was asked for last, which is there, is the last one. */
  get isFinished(): boolean {
    return this.#blocksLeft === 0;
  }

  /** Asks for the next batch. */
  advance(): void {
    this.#batch = this.#take();
  }

  #take(): Promise<ScanBatch> {
    const batch = this.#takeNext();
    // A failure is told when the range has its turn; until then nobody waits for it.
    batch.catch(() => undefined);
    return batch;
  }

  async #takeNext(): Promise<ScanBatch> {
    const { value, done } = await this.#batches.next();
    if (done === true) throw new Error(`a range of blocks ended ${this.#blocksLeft} blocks before its end`);
    this.#blocksLeft -= value.blocks;
    if (this.#blocksLeft === 0) this.#onFinish();
    return value;
  }
}
