import type { BlockFile } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { type BlockSet, RawBlocks } from '../disk/raw-blocks.ts';
import { foreignBlockBehind } from '../disk/refusal.ts';
import { FILE_HEADER, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import {
  fileHeaderProblems,
  fileSizeProblems,
  freeListHeadProblems,
  headerCopyProblems,
  type Problem,
  type Severity,
} from '../format/invariants.ts';
import { BLOCK_BYTES, fileOffset, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { decodePage, type Page } from '../format/page.ts';
import { PAGE_FLAG, PAGE_HEADER } from '../format/page-header.ts';
import { DirectoryScratch } from '../format/page-v2.ts';
import { pageProblems, problemsIfSound } from '../format/page-invariants.ts';
import { rootProblems } from '../format/root-invariants.ts';
import { decodeFreeLink, decodePointer } from '../format/pointer.ts';
import type { FindingSink, VerifyOptions, VerifySummary } from './finding.ts';
import { checkFreeList } from './free-list-check.ts';
import { nextCommand } from './next-command.ts';
import { NO_LINK, OtherBlocks } from './other-blocks.ts';

/**
 * Checks everything in a page file that can be checked, reading each block once, in order. It goes on after
 * each finding, and ends on any bytes.
 * @param report - called for each finding, in the order of the blocks but for those of the free list, which come last
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `IO`
 */
export async function verifyFile(
  file: BlockFile,
  report: FindingSink,
  options: VerifyOptions = {},
): Promise<VerifySummary> {
  const view = await CommittedView.open(file);
  return new FileCheck(view, await RawBlocks.open(view), report, options).run();
}

const BLANK_BLOCK = Buffer.alloc(BLOCK_BYTES);

class FileCheck {
  readonly #view: CommittedView;
  readonly #raw: RawBlocks;
  readonly #report: FindingSink;
  readonly #options: VerifyOptions;
  readonly #findings: Record<Severity, number> = { info: 0, warning: 0, error: 0 };
  readonly #others = new OtherBlocks();
  #pages = 0;
  #nodes = 0;
  #unwritten = 0;
  /** Slots of the page that the root descriptor points to; -1 where that is no page. */
  #rootPageSlots = -1;

  constructor(view: CommittedView, raw: RawBlocks, report: FindingSink, options: VerifyOptions) {
    this.#view = view;
    this.#raw = raw;
    this.#report = report;
    this.#options = options;
  }

  async run(): Promise<VerifySummary> {
    const { header, block0, wholeBlocks, fileBytes, file } = this.#raw;
    await this.#addAll(fileHeaderProblems(header));
    const headerIsSound = this.#findings.error === 0;
    // A header that does not verify cannot say how many blocks there are; the file's size can.
    const blocks = headerIsSound && header.blockCount > 0 ? Math.min(header.blockCount, wholeBlocks) : wholeBlocks;
    await this.#addAll(fileSizeProblems(header, fileBytes));
    await this.#addForeignBlock(fileBytes);
    await this.#addAll(freeListHeadProblems(header, blocks));
    await this.#addAll(rootProblems(header, block0, blocks));
    await this.#addAll(headerCopyProblems(block0));

    const rootPage = this.#rootPage();
    const target = new Uint8Array(BLOCK_BYTES);
    const scratch = new DirectoryScratch();
    for (let block = 1; block < blocks; block++) {
      this.#options.signal?.throwIfAborted();
      const { page, problems } = await this.#readPage(block, target, scratch);
      if (page) await this.#checkPage(page, block, problems ?? pageProblems(page, block));
      else this.#others.add(block, linkOf(target), BLANK_BLOCK.equals(target));
      if (block === rootPage?.block && page) this.#rootPageSlots = page.directory.count;
      await this.#options.onProgress?.(block + 1, blocks);
    }

    const { free, problems } = checkFreeList(header, this.#others, blocks);
    await this.#view.refresh();
    const changed = this.#view.hasChanged;
    if (!changed) {
      await this.#addAll(problems);
      await this.#checkOthers(free);
      await this.#checkTotals(rootPage);
    }
    return {
      file: file.name,
      bytes: fileBytes,
      blocks,
      pages: this.#pages,
      freeBlocks: free.size,
      unwrittenBlocks: this.#unwritten,
      nodes: this.#nodes,
      changed,
      findings: this.#findings,
    };
  }

  /** Reads a block: again, where it does not look sound, for as long as it changes. */
  async #readPage(block: number, target: Uint8Array, scratch: DirectoryScratch): Promise<PageFound> {
    let found: PageFound = {};
    const bytes = await this.#view.readSettled(block, target, () => {
      const page = decodePage(target, scratch);
      if (page === undefined) {
        found = {};
        return linkOf(target) !== NO_LINK;
      }
      found = { page, problems: problemsIfSound(page, block) };
      return found.problems !== undefined;
    });
    target.fill(0, bytes);
    return found;
  }

  async #checkPage(page: Page, block: number, problems: Iterable<Problem>): Promise<void> {
    this.#pages++;
    this.#nodes += page.directory.count;
    for (const problem of problems) {
      const required = problem.code === 'PAGE_CHECKSUM_ABSENT' && this.#options.requireChecksums === true;
      await this.#add(required ? { ...problem, severity: 'error' } : problem);
    }
    if (this.#options.requireFinalized === true && (page.header.flags & PAGE_FLAG.finalized) === 0) {
      const offset = fileOffset(block, PAGE_HEADER.offsetOf('flags'));
      const message = `page ${block}: not finalized`;
      await this.#add({ code: 'PAGE_NOT_FINALIZED', severity: 'error', block, offset, message });
    }
  }

  async #addForeignBlock(fileBytes: number): Promise<void> {
    const problem = await foreignBlockBehind(this.#view, this.#raw.header.blockCount, fileBytes);
    if (problem) await this.#add({ ...problem, severity: 'warning' });
  }

  /** The blocks that are no pages have to be free, or never written. */
  async #checkOthers(free: BlockSet): Promise<void> {
    for (let index = 0; index < this.#others.count; index++) {
      const block = this.#others.idAt(index);
      if (free.has(block)) continue;
      const at = { block, offset: fileOffset(block) };
      if (this.#others.linkAt(index) === 0) {
        this.#unwritten++;
        await this.#add({ code: 'BLOCK_UNWRITTEN', ...at, ...unwritten(block, this.#others.isBlank(index)) });
      } else {
        const message = `block ${block} is neither a page nor on the free list`;
        await this.#add({ code: 'BLOCK_UNKNOWN', severity: 'error', ...at, message });
      }
    }
  }

  async #checkTotals(rootPage: { block: number; slot: number } | undefined): Promise<void> {
    const { header } = this.#raw;
    if (rootPage && rootPage.slot >= this.#rootPageSlots) {
      const { block, slot } = rootPage;
      const why = this.#rootPageSlots < 0 ? 'is no page' : `has ${this.#rootPageSlots} slots`;
      const offset = ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR.offsetOf('rootRecord');
      const message = `the root record is said to be in slot ${slot} of block ${block}, which ${why}`;
      await this.#add({
        code: 'ROOT_DESCRIPTOR',
        severity: 'error',
        block: 0,
        offset,
        found: `${block}:${slot}`,
        message,
      });
    }
    if (header.rootPointer === 0n && header.entryCount !== 0n && header.entryCount !== BigInt(this.#nodes)) {
      const offset = FILE_HEADER.offsetOf('entryCount');
      const [found, expected] = [String(header.entryCount), String(this.#nodes)];
      const message = `entryCount is ${found}, the pages have ${expected} nodes`;
      await this.#add({ code: 'ENTRY_COUNT', severity: 'warning', block: 0, offset, found, expected, message });
    }
  }

  /** Where the root record should be, if a sound root descriptor says so. */
  #rootPage(): { block: number; slot: number } | undefined {
    const { header, block0, wholeBlocks } = this.#raw;
    const descriptor = decodePointer(header.rootPointer);
    if (header.rootPointer === 0n || descriptor.block !== 0 || descriptor.slot !== ROOT_DESCRIPTOR_OFFSET)
      return undefined;
    const { rootType, rootRecord } = ROOT_DESCRIPTOR.read(block0, ROOT_DESCRIPTOR_OFFSET);
    const { block, slot, inMemory } = decodePointer(rootRecord);
    return rootType === 0 || inMemory || block === 0 || block >= wholeBlocks ? undefined : { block, slot };
  }

  async #addAll(problems: Iterable<Problem>): Promise<void> {
    for (const problem of problems) await this.#add(problem);
  }

  async #add(problem: Problem): Promise<void> {
    this.#findings[problem.severity]++;
    const { name } = this.#raw.file;
    await this.#report({ ...problem, file: name, next: nextCommand(problem, name) });
  }
}

/** What a block holds if that is a page, and what there is to say of one without an error. */
interface PageFound {
  readonly page?: Page;
  readonly problems?: readonly Problem[] | undefined;
}

/** A block taken from the end of the free list and never written looks as a page does that lost its first bytes. */
function unwritten(block: number, blank: boolean): Pick<Problem, 'severity' | 'message'> {
  if (blank) return { severity: 'info', message: `block ${block}: allocated, and never written` };
  const message = `block ${block} begins with 8 zero bytes and holds other bytes: taken from the free list and never written, or a page that lost its header`;
  return { severity: 'warning', message };
}

function linkOf(block: Uint8Array): number {
  const target = decodeFreeLink(new DataView(block.buffer, block.byteOffset, 8).getBigUint64(0, true));
  return target < 0 ? NO_LINK : target;
}
