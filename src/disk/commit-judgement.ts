import { crc32 } from '../bytes/checksum.ts';
import { COMMIT_KIND, COMMIT_RECORD, type CommitRecord, decodeCommitRecord } from '../format/commit-record.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  FILE_HEADER_BYTES,
  fileOffset,
  NODE_AREA_OFFSET,
  PAGE_HEADER_BYTES,
} from '../format/layout.ts';
import { decodePage } from '../format/page.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import { firstPageError } from '../format/page-invariants.ts';
import { fileHeaderProblems } from '../format/invariants.ts';
import type { BlockFile } from './block-file.ts';

/** The commit records whose checksums hold, in ascending order of sequence number. @param head - the first 12,800 bytes of block 0 */
export function recordsIn(head: Uint8Array): CommitRecord[] {
  const records = COMMIT_RECORD_OFFSETS.map((offset) => decodeCommitRecord(head, offset));
  return records.filter((record) => record !== undefined).toSorted((a, b) => (a.sequence < b.sequence ? -1 : 1));
}

/** Whether a commit record is damaged or gone: then it may have been the newest one. @param head - the first 12,800 bytes of block 0 */
export function hasLostRecord(head: Uint8Array): boolean {
  const used = COMMIT_RECORD_OFFSETS.filter((offset) =>
    head.subarray(offset, offset + COMMIT_RECORD.bytes).some((byte) => byte !== 0),
  );
  const records = recordsIn(head);
  // Only the first commit of a file leaves one record alone.
  return used.length > records.length || (records.length === 1 && records[0]?.sequence !== 1n);
}

/** Whether the headers that a record speaks of are in their places. */
export async function isHome(file: BlockFile, { fileHeader, block, blockHead }: CommitRecord): Promise<boolean> {
  if (Buffer.compare(await readHead(file, 0), fileHeader) !== 0) return false;
  return block === 0 || Buffer.compare(await readHead(file, block), blockHead) === 0;
}

/**
 * Whether a record stands: its headers replace what the file has, or are there already, and everything that they
 * cover is on the device. Otherwise its batch was never acknowledged, or somebody else has changed the file since.
 * @param file - as the records before this one left it
 */
export async function judgeRecord(file: BlockFile, record: CommitRecord): Promise<boolean> {
  if (!(await fitsHeaders(file, record))) return false;
  const { block, blockHead, oldBlockCount } = record;
  const header = FILE_HEADER.read(record.fileHeader);
  const target = new Uint8Array(BLOCK_BYTES);
  if (block !== 0 && record.kind === COMMIT_KIND.pageHeader) {
    if (!(await isSoundPage(file, block, blockHead, target))) return false;
  }
  let sum = 0;
  for (let added = oldBlockCount; added < header.blockCount; added++) {
    const head = await readHead(file, added);
    sum = crc32(head, sum);
    if (!(await isSoundPage(file, added, head, target))) return false;
  }
  return sum === record.addedHeadersCrc;
}

/** Whether the headers of a record replace what the file has, or are there already: one that does not fit them cannot stand. */
export async function fitsHeaders(file: BlockFile, record: CommitRecord): Promise<boolean> {
  const { block, blockHead, fileHeader, oldBlockCount } = record;
  const header = FILE_HEADER.read(fileHeader);
  const wholeBlocks = Math.floor((await file.size()) / BLOCK_BYTES);
  if (fileHeaderProblems(header).next().done !== true) return false;
  if (header.blockCount < oldBlockCount || header.blockCount > wholeBlocks || block >= oldBlockCount) return false;
  if (!isOldOrNew(await readHead(file, 0), record.oldFileHeaderCrc, fileHeader)) return false;
  return block === 0 || isOldOrNew(await readHead(file, block), record.oldPageHeaderCrc, blockHead);
}

/** Whether bytes are the ones that a change replaces, or those that it puts there. */
export function isOldOrNew(bytes: Uint8Array, oldCrc: number, newBytes: Uint8Array): boolean {
  return crc32(bytes) === oldCrc || Buffer.compare(bytes, newBytes) === 0;
}

/** Whether the page in `block` is sound under the header `head`. @param target - 262,144 bytes to read it to */
async function isSoundPage(file: BlockFile, block: number, head: Uint8Array, target: Uint8Array): Promise<boolean> {
  target.set(head);
  const { nodeCount, freeOffset } = PAGE_HEADER.read(head);
  // Under the header of an empty page the rest of the block may hold anything: many can be allocated at once.
  if (nodeCount > 0 || freeOffset !== NODE_AREA_OFFSET) {
    const rest = target.subarray(PAGE_HEADER_BYTES);
    if ((await file.read(rest, fileOffset(block, PAGE_HEADER_BYTES))) < rest.length) return false;
  }
  const page = decodePage(target);
  return page !== undefined && firstPageError(page, block) === undefined;
}

async function readHead(file: BlockFile, block: number): Promise<Uint8Array> {
  const head = new Uint8Array(block === 0 ? FILE_HEADER_BYTES : PAGE_HEADER_BYTES);
  await file.read(head, fileOffset(block));
  return head;
}
