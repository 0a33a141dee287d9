import { readBuffer } from '../bytes/buffer.ts';
import { counted } from '../bytes/encodings.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import { hex } from '../format/problem.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import { decodePage, type Page } from '../format/page.ts';
import { pageProblems } from '../format/page-checks.ts';
import { decodeFreeLink } from '../format/layout.ts';
import type { FoundHeader } from './header-source.ts';
import { type PageFate, PageRecovery, usedBytes } from './page-recovery.ts';
import { tallyProblems } from './recovery-report.ts';
import type { BlockProblem } from './recovery-report.ts';
import { SlotTable } from '../salvage/slot-table.ts';

/** A page, and what can be taken of it. */
export interface PageFound {
  readonly kind: 'page';
  readonly fate: PageFate;
  readonly problems: readonly BlockProblem[];
}

/** What a block that is not free holds. */
export type BlockFound =
  | PageFound
  | { readonly kind: 'unwritten' }
  | { readonly kind: 'unknown'; readonly lostBytes: number; readonly problems: readonly BlockProblem[] };

const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** Reads blocks of the damaged file, one after the other, into memory of its own. */
export class BlockReader {
  /** The bytes of the last block that was read, made sound where they could be. */
  readonly bytes: Uint8Array = readBuffer(BLOCK_BYTES);
  /** The slots of the last block, if it was a page. */
  readonly slots: SlotTable = new SlotTable();
  readonly #found: FoundHeader;
  readonly #pages = new PageRecovery();
  readonly #lastIsCommitted: boolean;

  constructor(found: FoundHeader) {
    this.#found = found;
    const last = found.view.recovery.lastRecord;
    const committed = last && FILE_HEADER.read(last.fileHeader).checksum;
    this.#lastIsCommitted = committed === found.header.checksum && found.isCountProven;
  }

  /** @param isDoubtful - whether nothing vouches for the block: then none of its nodes is better than doubtful */
  async read(block: number, isDoubtful: boolean): Promise<BlockFound> {
    const { bytes, slots } = this;
    const { view, recordedPages } = this.#found;
    let soundPage: Page | undefined;
    // What the file does not have of the block must not be what the block before had there.
    bytes.fill(0);
    const presentBytes = await view.readSettled(block, bytes, () => {
      soundPage = this.#pages.soundPage(bytes, block);
      return (
        soundPage !== undefined ||
        decodeFreeLink(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)) === 0
      );
    });
    if (ZEROS.equals(bytes)) {
      if (presentBytes === BLOCK_BYTES) return { kind: 'unwritten' };
      return { kind: 'unknown', lostBytes: 0, problems: [cutProblem(block, presentBytes)] };
    }
    const problems = soundPage && presentBytes === BLOCK_BYTES ? [] : problemsOf(block, bytes, presentBytes);
    const { records } = view.recovery;
    const isRecorded = recordedPages.includes(block);
    const facts = { block, presentBytes, records, lastIsCommitted: this.#lastIsCommitted, isRecorded };
    const fate = this.#pages.recover(bytes, facts, slots, soundPage);
    if (fate === undefined) return { kind: 'unknown', lostBytes: usedBytes(bytes), problems };
    if (isDoubtful) slots.doubt();
    // What is wrong with a page without an error, such as a missing directory, is the reason for its loss.
    const reasons = fate.lostBytes > 0 && problems.length === 0 ? problemsOf(block, bytes, presentBytes) : problems;
    return { kind: 'page', fate, problems: reasons };
  }
}

function problemsOf(block: number, bytes: Uint8Array, presentBytes: number): BlockProblem[] {
  const page = decodePage(bytes);
  const problems = page ? tallyProblems(pageProblems(page, block)) : [magicProblem(block, bytes)];
  return presentBytes < BLOCK_BYTES ? [cutProblem(block, presentBytes), ...problems] : problems;
}

function cutProblem(block: number, presentBytes: number): BlockProblem {
  const message = `the file ends ${counted(presentBytes, 'byte')} into block ${block}: it has been cut at byte ${fileOffset(block, presentBytes)}`;
  return { code: 'FILE_SIZE', count: 1, message };
}

function magicProblem(block: number, bytes: Uint8Array): BlockProblem {
  const found = hex(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true), 16);
  return {
    code: 'PAGE_MAGIC',
    count: 1,
    message: `block ${block} begins with ${found}, which is not the magic of a page`,
  };
}
