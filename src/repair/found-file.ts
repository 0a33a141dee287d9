import type { BlockFile } from '../disk/block-file.ts';
import { hasLostRecord, recordsIn } from '../disk/committed-view.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { isOnFreeList, lostRecordedPages, type RecordedPage, tookEffect } from '../salvage/recorded-pages.ts';
import { readFileHead, readSettledHead } from '../disk/file-head.ts';
import { problemError } from '../disk/refusal.ts';
import { COMMIT_RECORD, decodeCommitRecord } from '../format/commit-record.ts';
import { FILE_HEADER, FILE_VERSION, fileHeaderChecksum } from '../format/file-header.ts';
import { fileHeaderProblems } from '../format/problem.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, fileOffset } from '../format/layout.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { flipBack } from '../salvage/header-proof.ts';
import { type LostHeader, type MendedHeader, mendHeader } from './header-sources.ts';
import { MAX_CHANCE, mendBlock } from './mend-page.ts';
import { OverlaidFile, type Piece } from '../disk/overwrite.ts';

/** Block 0 as it was found, and the pages that commit records speak of. */
export interface Found {
  /** Its first 12,800 bytes. */
  readonly head: Uint8Array;
  readonly fileBytes: number;
  readonly mended: MendedHeader | undefined;
  readonly records: readonly Piece[];
  /** Why the file header is not sound, and cannot be mended; undefined where it is, or was. */
  readonly whyLost: string | undefined;
  /** Pages that get the header that a commit record has for them. */
  readonly restored: RecordedPage[];
  /** Blocks that are damaged, and of which a commit record has the page header. */
  readonly lostPages: readonly number[];
}

/** A file, and what it would be with its file header, records and page headers mended. */
interface FoundFile {
  readonly view: CommittedView;
  readonly found: Found;
}

/**
 * Finds what a file says, with all of it put right that block 0 proves.
 * @param file - as its journal leaves it
 * @param signal - ends the search for a file header: it rejects with the signal's reason
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `FILE_HEADER_VERSION` for a file of a newer version, `IO`
 */
export async function findFile(file: BlockFile, signal: AbortSignal | undefined): Promise<FoundFile> {
  const fileBytes = await file.size();
  const head = await readSettledHead(file);
  refuseNewerVersion(file, head);
  const records = mendedRecords(head);
  const base = { file: new OverlaidFile(file, records), head, fileBytes, records, signal };
  const withRecords = await readFileHead(base.file);
  const lost = await lostRecordedPages(base.file, recordsIn(withRecords), hasLostRecord(withRecords));
  let restorable: RecordedPage[] = [];
  for (const page of lost) {
    // What the block says of itself is newer than any record: it may have been sealed since.
    if (page.isWhole && !page.mayBeFreed && !(await mendsItself(base.file, page))) restorable.push(page);
  }
  for (;;) {
    const best = await judge(base, restorable, lost);
    const { restored } = best.found;
    if (restored.length === restorable.length) return best;
    // What was not proven is seen as it is.
    restorable = restored;
  }
}

async function mendsItself(file: BlockFile, { record: { block } }: RecordedPage): Promise<boolean> {
  const bytes = new Uint8Array(BLOCK_BYTES);
  await file.read(bytes, fileOffset(block));
  const mended = mendBlock(bytes, block, new DirectoryScratch());
  return mended !== undefined && mended.chance <= MAX_CHANCE;
}

type Base = Pick<Found, 'head' | 'fileBytes' | 'records'> & {
  readonly file: BlockFile;
  readonly signal: AbortSignal | undefined;
};

/** @returns with those pages restored of which the records took effect for sure, and that are not free */
async function judge(
  base: Base,
  restorable: readonly RecordedPage[],
  lost: readonly RecordedPage[],
): Promise<FoundFile> {
  const { head, fileBytes, records, signal } = base;
  const pages = restorable.map(({ record }) => ({ position: fileOffset(record.block), bytes: record.blockHead }));
  const file = new OverlaidFile(base.file, pages);
  const isSound = fileHeaderProblems(FILE_HEADER.read(head)).next().done === true;
  const damaged = lost.find((page) => !restorable.includes(page))?.record.block;
  const source = isSound ? undefined : await mend(file, fileBytes, damaged, signal);
  const mended = source && 'bytes' in source ? source : undefined;
  const whyLost = source && 'why' in source ? source.why : undefined;
  const header = mended ? [{ position: 0, bytes: mended.bytes }] : [];
  const view = await CommittedView.open(new OverlaidFile(file, header));
  const restored: RecordedPage[] = [];
  const lostPages: number[] = [];
  for (const page of lost) {
    const { record } = page;
    if (page.mayBeFreed || (whyLost === undefined && (await isOnFreeList(view, record.block)))) continue;
    if (restorable.includes(page) && whyLost === undefined && tookEffect(view, record)) restored.push(page);
    else lostPages.push(record.block);
  }
  return { view, found: { head, fileBytes, mended, records, whyLost, restored, lostPages } };
}

async function mend(
  file: BlockFile,
  fileBytes: number,
  lostPage: number | undefined,
  signal: AbortSignal | undefined,
): Promise<MendedHeader | LostHeader> {
  return mendHeader(file, await readFileHead(file), Math.floor(fileBytes / BLOCK_BYTES), signal, lostPage);
}

/** A file that another version of the format describes is not damaged for that. */
function refuseNewerVersion(file: BlockFile, head: Uint8Array): void {
  const header = FILE_HEADER.read(head);
  if (header.version <= FILE_VERSION || fileHeaderChecksum(header) !== header.checksum) return;
  for (const problem of fileHeaderProblems(header)) throw problemError(file, problem);
}

/** The commit records of which one bit was wrong, with that bit flipped back. */
function mendedRecords(head: Uint8Array): Piece[] {
  const mended: Piece[] = [];
  for (const position of COMMIT_RECORD_OFFSETS) {
    const bytes = head.slice(position, position + COMMIT_RECORD.bytes);
    if (isRecordOrNone(bytes) || !flipBack(bytes) || !isRecordOrNone(bytes)) continue;
    mended.push({ position, bytes });
  }
  return mended;
}

function isRecordOrNone(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0) || decodeCommitRecord(bytes) !== undefined;
}
