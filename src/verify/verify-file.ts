import { Hash64 } from '../bytes/checksum.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { lostWrites, uncountedPage } from '../disk/page-file.ts';
import { addHash, digestIn, newDigest } from '../format/digest.ts';
import { FILE_HEADER, FILE_VERSION, hasValidHeaderChecksum, headerCopyState } from '../format/file-header.ts';
import { fileHeaderProblems } from '../format/header-checks.ts';
import { FILE_HEADER_BYTES } from '../format/layout.ts';
import { hasTrie, isOfTrie } from '../format/trie-checks.ts';
import type { Problem, Severity } from '../format/problem.ts';
import { NonPages, RawBlocks } from '../salvage/block-kind.ts';
import { lostRecordedPages, type RecordedPage } from '../salvage/evidence.ts';
import { checkFreeList } from '../salvage/free-blocks.ts';
import { HeaderEvidence, resolveHeader } from '../salvage/header-candidates.ts';
import { rootDescriptorOf, rootPlaceOf } from '../salvage/evidence.ts';
import { type DigestResult, digestResult } from './digest-rules.ts';
import { FirstStep } from './first-step.ts';
import { type HeaderState, type HeadFacts, readJournal } from './head-rules.ts';
import { NOTHING_PROVEN, proveHead, type ProvenHead } from './repairable-head.ts';
import { commandLine, ruleOf, RULES } from './rules.ts';
import { type BlockRange, NO_PAGE, type ScanBatch, scanRange, type ScanSettings } from './scan.ts';
import { countUnwritten, type WholeFacts } from './whole-rules.ts';

/** One problem that verify found. */
export interface Finding extends Problem {
  /** As the caller named it. */
  readonly file: string;
  /** The next command line, quoted for a shell. */
  readonly next: string;
}

export interface VerifyOptions {
  /** Makes a page without a checksum an error. Default: false. */
  readonly requireChecksums?: boolean;
  /** Makes a page that is not finalized an error. Default: false. */
  readonly requireFinalized?: boolean;
  /** Threads that check blocks; more than one needs a path. Default: 1. */
  readonly threads?: number;
  /** Called for each finding, in the order of blocks; verify waits for it. */
  readonly onFinding?: (finding: Finding) => void | Promise<void>;
  /** Called after every block or every few blocks. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops the check between two blocks; the report covers what was checked. */
  readonly signal?: AbortSignal;
}

/** The result of {@link verify}. */
export interface VerifyReport {
  /** Whether the whole file was checked without an error. */
  readonly ok: boolean;
  readonly file: string;
  readonly bytes: number;
  /** Blocks that were checked, block 0 included. */
  readonly blocks: number;
  readonly pages: number;
  readonly freeBlocks: number;
  readonly unwrittenBlocks: number;
  /** Slots whose nodes were lost before the file was made; `nodes` does not count them. */
  readonly lostSlots: number;
  readonly nodes: number;
  /** What the digest of all page headers says: `differs` if a page is lost, old, or in another place. */
  readonly digest: DigestResult;
  /** Whether a writer changed the file, so checks of all blocks at one moment (free list, counts) were skipped. */
  readonly changed: boolean;
  /** Whether the signal stopped the check, so later blocks, free list and counts were not checked. */
  readonly interrupted: boolean;
  /** By severity. */
  readonly findings: Readonly<Record<Severity, number>>;
  /** The command line to begin with, quoted for a shell; absent without a warning or an error. */
  readonly next?: string;
}

/** Must yield its findings in the order of the blocks. */
export type ScanBlocks = (
  view: CommittedView,
  range: BlockRange,
  settings: Omit<ScanSettings, 'batchBlocks'>,
) => AsyncIterable<ScanBatch>;

/**
 * Reads each block once, in order. Terminates on any input.
 * @param scan - checks the blocks after block 0
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `IO`
 */
export async function verifyFile(
  file: BlockFile,
  options: VerifyOptions,
  scan: ScanBlocks = scanHere,
): Promise<VerifyReport> {
  const view = await CommittedView.open(file);
  const raw = await RawBlocks.open(view);
  const facts = await headFacts(file, raw, options);
  return new FileCheck(view, await withoutNewerPage(view, facts), options).run(scan);
}

/** A page of a later commit than the header is no finding if a writer has committed since the header was read. */
async function withoutNewerPage(view: CommittedView, facts: HeadFacts): Promise<HeadFacts> {
  const isOld = facts.uncountedPage?.code === 'FILE_HEADER_OLD' && !(await view.refresh());
  return facts.uncountedPage?.code !== 'FILE_HEADER_OLD' || isOld ? facts : { ...facts, uncountedPage: undefined };
}

const scanHere: ScanBlocks = (view, range, settings) => scanRange(view, range, { ...settings, batchBlocks: 1 });

async function headFacts(
  file: BlockFile,
  { header, block0, wholeBlocks, fileBytes, file: view }: RawBlocks,
  { signal, onProgress }: VerifyOptions,
): Promise<HeadFacts> {
  // An invalid header does not prove the block count, so the file size is used.
  const isCounted = fileHeaderProblems(header).next().done === true && header.blockCount > 0;
  const blocks = isCounted ? Math.min(header.blockCount, wholeBlocks) : wholeBlocks;
  const digest = digestIn(block0);
  const lastCommit = digest.state?.commit ?? 0;
  const uncounted = await uncountedPage(view, header.blockCount, fileBytes, lastCommit, { signal, onProgress }).catch(
    (error: unknown) => {
      // Findings in block 0 are reported even if the search was stopped.
      if (isAborted(signal)) return undefined;
      throw error;
    },
  );
  const journal = await readJournal(file);
  const headerState = await stateOf(block0, wholeBlocks, signal);
  const recorded = await lostRecordedPages(view, block0);
  const isValid = headerState === 'valid';
  const proven = isValid ? await provenIn(view, block0, recorded, signal) : NOTHING_PROVEN;
  const older = isValid ? await lostWrites(view, block0) : [];
  const evidence = { uncountedPage: uncounted, journal, headerState, digest, lostWrites: older, proven };
  const facts = { header, block0, fileBytes, wholeBlocks, blocks, ...evidence };
  return { ...facts, recordedPages: recorded.filter(({ record, mayBeFreed }) => record.block < blocks && !mayBeFreed) };
}

async function provenIn(
  view: BlockFile,
  block0: Uint8Array,
  recorded: readonly RecordedPage[],
  signal: AbortSignal | undefined,
): Promise<ProvenHead> {
  return proveHead(view, block0, recorded, signal).catch((error: unknown) => {
    // The search was stopped: repair finds out.
    if (isAborted(signal)) return NOTHING_PROVEN;
    throw error;
  });
}

async function stateOf(block0: Uint8Array, wholeBlocks: number, signal: AbortSignal | undefined): Promise<HeaderState> {
  const fileHeader = block0.slice(0, FILE_HEADER_BYTES);
  if (hasValidHeaderChecksum(fileHeader) && FILE_HEADER.read(fileHeader).version > FILE_VERSION) return 'newer';
  const evidence = new HeaderEvidence(block0, wholeBlocks, headerCopyState(block0) === 'valid');
  try {
    const state = await resolveHeader<HeaderState>(evidence, {
      order: ['block 0', 'commit record', 'header copy', 'derived'],
      signal,
      accept: async ({ source }) => (source === 'block 0' ? 'valid' : 'repairable'),
    });
    return state ?? 'lost';
  } catch (error) {
    // The search was stopped: repair finds out.
    if (isAborted(signal)) return 'repairable';
    throw error;
  }
}

class FileCheck {
  readonly #view: CommittedView;
  readonly #head: HeadFacts;
  readonly #options: VerifyOptions;
  readonly #findings: Record<Severity, number> = { info: 0, warning: 0, error: 0 };
  readonly #others = new NonPages();
  #blocks = 1;
  #pages = 0;
  #nodes = 0;
  #lostSlots = 0;
  readonly #sum = new Hash64();
  #newest = NO_PAGE;
  #misplacedPages = 0;
  #hasOrphans = false;
  #freedNodes = 0;
  /** Errors that change headers, so that the digest does not match. */
  #otherErrors = 0;
  #rootPageSlots = -1;
  #isRepairable = false;
  readonly #firstStep = new FirstStep();
  #isLikelyRepairable = false;

  constructor(view: CommittedView, head: HeadFacts, options: VerifyOptions) {
    this.#view = view;
    this.#head = head;
    this.#options = options;
  }

  async run(scan: ScanBlocks): Promise<VerifyReport> {
    const { header, block0, wholeBlocks, blocks, fileBytes } = this.#head;
    for (const { head } of RULES) await this.#addAll(head?.(this.#head));
    const rootPlace = rootPlaceOf(header, rootDescriptorOf(block0), wholeBlocks);
    const interrupted = !(await this.#scan(scan, rootPlace?.block ?? 0));
    const freeList = checkFreeList(header, this.#others, this.#blocks);
    if (!interrupted) await this.#view.refresh();
    const changed = this.#view.hasChanged;
    let unwrittenBlocks = 0;
    if (!changed && !interrupted) {
      const facts = (): WholeFacts => ({
        head: this.#head,
        others: this.#others,
        freeList,
        slots: this.#nodes + this.#lostSlots,
        rootPlace,
        rootPageSlots: this.#rootPageSlots,
        errors: this.#findings.error,
        isRepairable: this.#isRepairable,
        isLikelyRepairable: this.#isLikelyRepairable,
        hasOrphans: this.#hasOrphans,
        freedNodes: this.#freedNodes,
        sum: this.#sum,
        newest: this.#newest,
        misplacedPages: this.#misplacedPages,
        otherErrors: this.#otherErrors,
      });
      for (const { whole } of RULES) await this.#addAll(whole?.(facts()));
      unwrittenBlocks = countUnwritten(facts());
    }
    return {
      ok: this.#findings.error === 0 && !interrupted,
      file: this.#view.name,
      bytes: fileBytes,
      blocks: interrupted ? this.#blocks : blocks,
      pages: this.#pages,
      freeBlocks: freeList.free.size,
      unwrittenBlocks,
      nodes: this.#nodes,
      lostSlots: this.#lostSlots,
      digest: changed || interrupted ? 'unchecked' : this.#digestResult,
      changed,
      interrupted,
      findings: this.#findings,
      ...this.#next,
    };
  }

  get #next(): Pick<VerifyReport, 'next'> {
    const { best } = this.#firstStep;
    return best === undefined ? {} : { next: commandLine(best.step, this.#view.name, best.problem) };
  }

  get #digestResult(): DigestResult {
    const { headerState, digest } = this.#head;
    // With a damaged header the digest belongs to nothing.
    return headerState === 'valid' ? digestResult({ digest, sum: this.#sum }) : 'unchecked';
  }

  /** @returns false if it was stopped early */
  async #scan(scan: ScanBlocks, rootBlock: number): Promise<boolean> {
    const { blocks } = this.#head;
    const { requireChecksums, requireFinalized, onProgress, signal } = this.#options;
    const { header, headerState } = this.#head;
    const trie = headerState === 'valid' && hasTrie(header);
    const requirements = { checksums: requireChecksums === true, finalized: requireFinalized === true, trie };
    if (isAborted(signal)) return false;
    const { openFrom, openEnd } = this.#head.digest.state ?? newDigest();
    const settings = { requirements, rootBlock, openFrom, openEnd };
    for await (const batch of scan(this.#view, { first: 1, end: blocks }, settings)) {
      this.#pages += batch.pages;
      this.#nodes += batch.nodes;
      this.#lostSlots += batch.lostSlots;
      addHash(this.#sum, batch.sum);
      this.#freedNodes += batch.freedNodes;
      if (batch.newest.commit > this.#newest.commit) this.#newest = batch.newest;
      this.#rootPageSlots = batch.rootPageSlots ?? this.#rootPageSlots;
      for (const [index, id] of batch.otherIds.entries()) this.#others.add(id, batch.otherLinks[index] ?? 0);
      await this.#addAll(batch.problems);
      this.#blocks += batch.blocks;
      if (batch.blocks > 0) await onProgress?.(this.#blocks, blocks);
      if (this.#blocks < blocks && isAborted(signal)) return false;
    }
    return true;
  }

  async #addAll(problems: Iterable<Problem> | undefined): Promise<void> {
    for (const problem of problems ?? []) {
      this.#findings[problem.severity]++;
      if (problem.code === 'PAGE_MISPLACED') this.#misplacedPages++;
      else if (problem.severity === 'error' && !isOfTrie(problem)) this.#otherErrors++;
      this.#hasOrphans ||= problem.code === 'NODES_WITHOUT_DIRECTORY';
      const step = ruleOf(problem).next(problem);
      this.#isRepairable ||= step === 'repair';
      this.#firstStep.add(step, problem);
      this.#isLikelyRepairable ||= step === 'repair likely bit';
      const next = commandLine(step, this.#view.name, problem);
      // Not a spread: V8 keeps part of every object made by a spread with more fields until its next full collection.
      await this.#options.onFinding?.(Object.assign({}, problem, { file: this.#view.name, next }));
    }
  }
}

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;
