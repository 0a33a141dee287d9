import { crc32 } from '../bytes/checksum.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { hasLostRecord, recordsIn } from '../disk/committed-view.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { foreignBlockBehind } from '../disk/refusal.ts';
import type { CommitRecord } from '../format/commit-record.ts';
import { encodeFileHeader, FILE_HEADER, headerCopyState } from '../format/file-header.ts';
import { headerByChecksum, isSoundHeader } from '../salvage/header-proof.ts';
import { copiedHeader } from '../salvage/header-proof.ts';
import { FILE_HEADER_BYTES, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { OverlaidFile } from '../disk/overwrite.ts';
import { type FoundRoot, rootOf } from './lost-root.ts';
import type { RepairId } from './repairs.ts';

/** A file header that was put right. */
export interface MendedHeader {
  readonly repair: RepairId;
  /** The 64 bytes. */
  readonly bytes: Uint8Array;
  /** Whether records are to be brought home with it and emptied: it is not, byte for byte, what they were judged by. */
  readonly settles: boolean;
  /** The 18 bytes of the root descriptor, where that was lost with the header. */
  readonly rootDescriptor?: Uint8Array | undefined;
}

/** Why the file header cannot be put right. */
export interface LostHeader {
  readonly why: string;
}

/** A damaged file header, and what else block 0 says of it. */
interface DamagedHeader {
  readonly file: BlockFile;
  /** The first 12,800 bytes of block 0. */
  readonly head: Uint8Array;
  readonly wholeBlocks: number;
  /** In ascending order of sequence number. */
  readonly records: readonly CommitRecord[];
  readonly signal: AbortSignal | undefined;
  /** A block that only a record has the header of. */
  readonly lostPage: number | undefined;
}

/**
 * Puts a damaged file header right, where that can be done without guessing.
 * @param file - as its journal leaves it
 * @param head - the first 12,800 bytes of block 0
 * @param lostPage - a page of which only a commit record has the header, and which is damaged otherwise: no record is
 * emptied then
 * @returns why not, where nothing proves what the header was
 */
export async function mendHeader(
  file: BlockFile,
  head: Uint8Array,
  wholeBlocks: number,
  signal: AbortSignal | undefined,
  lostPage?: number,
): Promise<MendedHeader | LostHeader> {
  const records = recordsIn(head);
  const copy = copiedHeader(head)?.fileHeader;
  const known = [...records.map(({ fileHeader }) => fileHeader), ...(copy ? [copy] : [])].filter(isSoundHeader);
  const damaged = { file, head, wholeBlocks, records, signal, lostPage };
  const proven = await headerByChecksum(head.subarray(0, FILE_HEADER_BYTES), wholeBlocks, known, signal);
  if (proven) return { repair: `header-${proven.part}`, bytes: proven.bytes, settles: false };
  const byRecord = await fromRecord(damaged, copy);
  if ('bytes' in byRecord) return byRecord;
  const byCopy = await fromCopy(damaged);
  if ('bytes' in byCopy) return byCopy;
  const why = `no single field or bit of it makes its checksum hold; of commit records, ${byRecord.why}; of the copy, ${byCopy.why}`;
  return { why };
}

/**
 * Takes the header from the last commit record: no commit is newer. It is taken only where what the record speaks of
 * is as that commit left it, or found it; where the record before has not been brought home, both take effect when
 * the file is opened.
 */
async function fromRecord(damaged: DamagedHeader, copy: Uint8Array | undefined): Promise<MendedHeader | LostHeader> {
  const { file, head, records, lostPage } = damaged;
  const last = records.at(-1);
  if (last === undefined) return { why: hasLostRecord(head) ? 'none holds' : 'there is none' };
  if (!isSoundHeader(last.fileHeader)) return { why: 'the last has a header that is not sound' };
  if (lostPage !== undefined) return { why: whyKept(lostPage) };
  const older = records.slice(0, -1).map(({ fileHeader }) => fileHeader);
  if (copy) older.push(copy);
  const replaced = older.filter((state) => isSoundHeader(state) && crc32(state) === last.oldFileHeaderCrc);
  let why = `the last does not stand: block ${last.block}, or one that it adds, is not as it says`;
  for (const bytes of [...replaced, last.fileHeader]) {
    const view = await CommittedView.open(new OverlaidFile(file, [{ position: 0, bytes }]));
    const stands = view.recovery.standing.at(-1)?.sequence === last.sequence;
    // A record that does not stand still says which header it was to replace, while its block is as it found it.
    if (!stands && (bytes === last.fileHeader || !(await isAway(file, last)))) continue;
    const root = await newestRoot(damaged, view);
    if ('rootDescriptor' in root) return { repair: 'header-record', bytes, settles: true, ...root };
    ({ why } = root);
  }
  return { why };
}

/** The root descriptor of the header that records lead to, where that header can be the newest: nobody has gone on behind it. */
async function newestRoot(damaged: DamagedHeader, view: CommittedView): Promise<FoundRoot | LostHeader> {
  const { head, wholeBlocks, signal } = damaged;
  const { blockCount } = await view.readFileHeader();
  if (blockCount > wholeBlocks) return { why: `the last counts ${blockCount} blocks, and the file has ${wholeBlocks}` };
  // A record that is lost may have been the newest, and the blocks behind the count its own.
  if (hasLostRecord(head) && blockCount !== wholeBlocks) {
    return { why: 'one does not hold, and may be of the blocks behind those that the other one counts' };
  }
  const foreign = await foreignBlockBehind(view, blockCount, fileOffset(wholeBlocks), signal);
  if (foreign) return { why: `the last does not count block ${foreign.block ?? 0}, a page of another program` };
  return rootOf(head, view);
}

/**
 * Takes the header from its copy, which is sound but may be older: the file's size says how many blocks there are now,
 * and free list and node count are derived again. Not where a commit has not been brought home: it would be lost.
 */
async function fromCopy({
  file,
  head,
  wholeBlocks,
  records,
  lostPage,
}: DamagedHeader): Promise<MendedHeader | LostHeader> {
  const copy = copiedHeader(head);
  if (copy === undefined) return { why: headerCopyState(head) === 'damaged' ? 'it is damaged' : 'there is none' };
  if (!isSoundHeader(copy.fileHeader)) return { why: 'it is of a header that was not sound' };
  const header = FILE_HEADER.read(copy.fileHeader);
  if (header.blockCount > wholeBlocks) {
    return { why: `it counts ${header.blockCount} blocks, and the file has ${wholeBlocks}` };
  }
  if (lostPage !== undefined) return { why: whyKept(lostPage) };
  for (const record of records) {
    if (await isAway(file, record)) return { why: `a commit to block ${record.block} is newer, and not in its place` };
  }
  const bytes = encodeFileHeader({ ...header, blockCount: wholeBlocks });
  const root = await rootOf(head, await CommittedView.open(new OverlaidFile(file, [{ position: 0, bytes }])));
  return 'why' in root ? root : { repair: 'header-copy', bytes, settles: true, ...root };
}

const whyKept = (block: number): string =>
  `block ${block} is damaged, and the header that a commit record has for it would be lost`;

/** Whether a block still has the first bytes that a record replaces. */
async function isAway(file: BlockFile, { block, oldPageHeaderCrc, blockHead }: CommitRecord): Promise<boolean> {
  if (block === 0) return false;
  const now = new Uint8Array(PAGE_HEADER_BYTES);
  await file.read(now, fileOffset(block));
  return crc32(now) === oldPageHeaderCrc && Buffer.compare(now, blockHead) !== 0;
}
