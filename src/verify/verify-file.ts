import { shellPath } from '../bytes/quoting.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { hasLostRecord, recordsIn } from '../disk/committed-view.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { lostRecordedPages } from '../salvage/recorded-pages.ts';
import { readJournalStanding } from './journal-check.ts';
import { RawBlocks } from '../disk/free-list.ts';
import { foreignBlockBehind } from '../disk/refusal.ts';
import { FILE_HEADER, FILE_VERSION, hasItsChecksum, HEADER_COPY, headerCopyState } from '../format/file-header.ts';
import { headerByChecksum, isSoundHeader } from '../salvage/header-proof.ts';
import { fileHeaderProblems, type Problem, type Severity } from '../format/problem.ts';
import { FILE_HEADER_BYTES, HEADER_COPY_OFFSET } from '../format/layout.ts';
import type { FindingSink, VerifyOptions, VerifySummary } from './rule.ts';
import { checkFreeList, type FreeList } from '../salvage/free-list.ts';
import { OtherBlocks } from '../salvage/block-kind.ts';
import { scanRange } from './scan.ts';
import { rootPlaceOf } from '../salvage/block-kind.ts';
import type { HeadFacts } from './rule.ts';
import { repairCommand } from './next-command.ts';
import { isZeroedPage } from '../salvage/free-list.ts';
import { ruleOf, RULES } from './rules.ts';
import type { BlockRange, ScanBatch, ScanSettings } from './scan.ts';

/** Looks at the blocks of a range: gives what it finds in the order of the blocks. */
export type ScanBlocks = (
  view: CommittedView,
  range: BlockRange,
  settings: Pick<ScanSettings, 'demands' | 'rootBlock'>,
) => AsyncIterable<ScanBatch>;

/**
 * Checks everything in a page file that can be checked, reading each block once, in order. It goes on after
 * each finding, and ends on any bytes.
 * @param report - called for each finding: those of block 0 first, then of each block in turn, then of all together
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `IO`
 */
export async function verifyFile(
  file: BlockFile,
  report: FindingSink,
  options: VerifyOptions = {},
): Promise<VerifySummary> {
  return verifyBlocks(file, report, options, scanHere);
}

/** As {@link verifyFile}. @param scan - looks at the blocks behind block 0 */
export async function verifyBlocks(
  file: BlockFile,
  report: FindingSink,
  options: VerifyOptions,
  scan: ScanBlocks,
): Promise<VerifySummary> {
  const view = await CommittedView.open(file);
  const raw = await RawBlocks.open(view);
  return new FileCheck(view, await headFacts(file, raw, options.signal), report, options).run(scan);
}

/** Most problems of a block that are kept before they are reported. */
const BATCH_PROBLEMS = 256;

/** Looks at the blocks in this thread, with a word after each. */
const scanHere: ScanBlocks = (view, range, settings) =>
  scanRange(view, range, { ...settings, batchBlocks: 1, batchProblems: BATCH_PROBLEMS });

async function headFacts(
  file: BlockFile,
  { header, block0, wholeBlocks, fileBytes, file: view }: RawBlocks,
  signal: AbortSignal | undefined,
): Promise<HeadFacts> {
  // A header that does not verify cannot say how many blocks there are; the file's size can.
  const isCounted = fileHeaderProblems(header).next().done === true && header.blockCount > 0;
  const blocks = isCounted ? Math.min(header.blockCount, wholeBlocks) : wholeBlocks;
  const foreignBlock = await foreignBlockBehind(view, header.blockCount, fileBytes, signal).catch((error: unknown) => {
    // What was found of block 0 is told all the same.
    if (isAborted(signal)) return undefined;
    throw error;
  });
  const journal = await readJournalStanding(file);
  const headerState = await stateOf(block0, wholeBlocks, signal);
  const recorded = await lostRecordedPages(view, recordsIn(block0), hasLostRecord(block0));
  const facts = { header, block0, fileBytes, wholeBlocks, blocks, foreignBlock, journal, headerState };
  return { ...facts, recordedPages: recorded.filter(({ record, mayBeFreed }) => record.block < blocks && !mayBeFreed) };
}

async function stateOf(
  block0: Uint8Array,
  wholeBlocks: number,
  signal: AbortSignal | undefined,
): Promise<HeadFacts['headerState']> {
  const fileHeader = block0.slice(0, FILE_HEADER_BYTES);
  if (isSoundHeader(fileHeader)) return 'sound';
  if (hasItsChecksum(fileHeader) && FILE_HEADER.read(fileHeader).version > FILE_VERSION) return 'newer';
  const others = recordsIn(block0).map((record) => record.fileHeader);
  if (headerCopyState(block0) === 'sound') others.push(HEADER_COPY.read(block0, HEADER_COPY_OFFSET).bytes);
  if (others.some(isSoundHeader)) return 'mendable';
  try {
    return (await headerByChecksum(fileHeader, wholeBlocks, [], signal)) ? 'mendable' : 'lost';
  } catch (error) {
    // Then nobody knows; repair would say.
    if (isAborted(signal)) return 'mendable';
    throw error;
  }
}

class FileCheck {
  readonly #view: CommittedView;
  readonly #head: HeadFacts;
  readonly #report: FindingSink;
  readonly #options: VerifyOptions;
  readonly #findings: Record<Severity, number> = { info: 0, warning: 0, error: 0 };
  readonly #others = new OtherBlocks();
  readonly #shellName: string;
  /** What puts right what can be derived again. */
  readonly #repairCommand: string;
  #blocks = 1;
  #pages = 0;
  #nodes = 0;
  /** Slots of the page that the root descriptor points to; -1 where that is no page. */
  #rootPageSlots = -1;
  /** Whether repair was the next step of a finding. */
  #isMendable = false;

  constructor(view: CommittedView, head: HeadFacts, report: FindingSink, options: VerifyOptions) {
    this.#view = view;
    this.#head = head;
    this.#report = report;
    this.#options = options;
    this.#shellName = shellPath(view.name);
    this.#repairCommand = repairCommand(this.#shellName);
  }

  async run(scan: ScanBlocks): Promise<VerifySummary> {
    const { header, block0, wholeBlocks, blocks, fileBytes } = this.#head;
    for (const { check } of RULES) await this.#addAll(check.head?.(this.#head));
    const rootPlace = rootPlaceOf(header, block0, wholeBlocks);
    const interrupted = !(await this.#scan(scan, rootPlace?.block ?? 0));
    const freeList = checkFreeList(header, this.#others, this.#blocks);
    if (!interrupted) await this.#view.refresh();
    const changed = this.#view.hasChanged;
    if (!changed && !interrupted) {
      const nodes = this.#nodes;
      const whole = {
        head: this.#head,
        others: this.#others,
        freeList,
        nodes,
        rootPlace,
        rootPageSlots: this.#rootPageSlots,
      };
      for (const { check } of RULES) {
        const found = { errors: this.#findings.error, isMendable: this.#isMendable };
        await this.#addAll(check.whole?.({ ...whole, found }));
      }
    }
    return {
      file: this.#view.name,
      bytes: fileBytes,
      blocks: interrupted ? this.#blocks : blocks,
      pages: this.#pages,
      freeBlocks: freeList.free.size,
      unwrittenBlocks: changed || interrupted ? 0 : this.#countUnwritten(freeList),
      nodes: this.#nodes,
      changed,
      interrupted,
      findings: this.#findings,
    };
  }

  /** Looks at the blocks behind block 0. @returns whether it came to the last one */
  async #scan(scan: ScanBlocks, rootBlock: number): Promise<boolean> {
    const { blocks } = this.#head;
    const { requireChecksums, requireFinalized, onProgress, signal } = this.#options;
    const demands = { checksums: requireChecksums === true, finalized: requireFinalized === true };
    if (isAborted(signal)) return false;
    for await (const batch of scan(this.#view, { first: 1, end: blocks }, { demands, rootBlock })) {
      this.#pages += batch.pages;
      this.#nodes += batch.nodes;
      this.#rootPageSlots = batch.rootPageSlots ?? this.#rootPageSlots;
      for (const [index, id] of batch.otherIds.entries()) this.#others.add(id, batch.otherLinks[index] ?? 0);
      await this.#addAll(batch.problems);
      this.#blocks += batch.blocks;
      if (batch.blocks > 0) await onProgress?.(this.#blocks, blocks);
      if (this.#blocks < blocks && isAborted(signal)) return false;
    }
    return true;
  }

  #countUnwritten(list: FreeList): number {
    const { header, headerState } = this.#head;
    let count = 0;
    for (let index = 0; index < this.#others.count; index++) {
      if (this.#others.linkAt(index) !== 0 || list.free.has(this.#others.idAt(index))) continue;
      if (headerState !== 'sound' || !isZeroedPage(header, this.#others, list, index)) count++;
    }
    return count;
  }

  async #addAll(problems: Iterable<Problem> | undefined): Promise<void> {
    for (const problem of problems ?? []) {
      this.#findings[problem.severity]++;
      const next = ruleOf(problem).next(problem, this.#shellName);
      this.#isMendable ||= next === this.#repairCommand;
      // Not a spread: with fields behind it, V8 keeps something of every such object until its next full collection.
      await this.#report(Object.assign({}, problem, { file: this.#view.name, next }));
    }
  }
}

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;
