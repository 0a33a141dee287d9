import { crc32 } from '../bytes/checksum.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { hasLostRecord, recordsIn } from '../disk/committed-view.ts';
import { OverlaidFile } from '../disk/overwrite.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { layPatches } from '../disk/overwrite.ts';
import { lostRecordedPages, tookEffect } from '../salvage/recorded-pages.ts';
import { decodePatchJournal } from '../format/journal.ts';
import type { CommitRecord } from '../format/commit-record.ts';
import { encodeFileHeader, FILE_HEADER, FILE_MAGIC, type FileHeader, newFileHeader } from '../format/file-header.ts';
import { headerByChecksum, isSoundHeader } from '../salvage/header-proof.ts';
import { copiedHeader } from '../salvage/header-proof.ts';
import {
  BLOCK_BYTES,
  FILE_HEAD_BYTES,
  FILE_HEADER_BYTES,
  fileOffset,
  MAX_BLOCKS,
  ROOT_DESCRIPTOR_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import type { HeaderSource } from './recovery-report.ts';

/** The file header that a damaged file goes by, and the file as it is with that header. */
export interface FoundHeader {
  readonly source: HeaderSource;
  readonly header: FileHeader;
  /** Whether the count of blocks is that of the last commit: what is behind it was never acknowledged. */
  readonly isCountProven: boolean;
  readonly view: CommittedView;
  /** Size of the file. */
  readonly fileBytes: number;
  /** The first 12,800 bytes of block 0 as a repair that was cut off is to leave them; zeros where the file ends before. */
  readonly head: Uint8Array;
  /** Blocks that are pages by the header that a commit record has for them, and nothing else has: the record took effect for sure. */
  readonly recordedPages: readonly number[];
  /** The 18 bytes of the root descriptor that belong to the header. */
  readonly rootDescriptor: Uint8Array;
}

/** Finds the file header: where it should be, or in its second and third places. @throws {@link PageStoreError} `IO` */
export async function findHeader(file: BlockFile, signal?: AbortSignal): Promise<FoundHeader> {
  const head = new Uint8Array(FILE_HEAD_BYTES);
  head.fill(0, await file.read(head, 0));
  const journal = await file.journal.read();
  layPatches(journal && decodePatchJournal(journal), head, 0);
  const fileBytes = await file.size();
  const home = FILE_HEADER.read(head);
  const descriptor = head.slice(ROOT_DESCRIPTOR_OFFSET, ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  const copy = copiedHeader(head);
  const found = async (source: HeaderSource, view: CommittedView, isProven: boolean): Promise<FoundHeader> => {
    const header = await view.readFileHeader();
    const { blockCount } = header;
    const isCountProven = isProven && blockCount > 0 && blockCount <= MAX_BLOCKS;
    const rootDescriptor = (source === 'header copy' ? copy?.rootDescriptor : undefined) ?? descriptor;
    const recordedPages = await provenPages(view, head);
    return { source, header, isCountProven, view, fileBytes, head, recordedPages, rootDescriptor };
  };
  const underHeader = async (header: FileHeader): Promise<CommittedView> =>
    CommittedView.open(new OverlaidFile(file, [{ position: 0, bytes: encodeFileHeader(header) }], file.journal));

  if (isSoundHeader(head)) return found('block 0', await CommittedView.open(file), true);
  const known = recordsIn(head).map(({ fileHeader }) => fileHeader);
  if (copy) known.push(copy.fileHeader);
  const derived = await derivedHeader(home, fileBytes, known.filter(isSoundHeader), signal);
  if (derived) return found('derived', await underHeader(derived), true);
  const records = recordsIn(head).filter((record) => isSoundHeader(record.fileHeader));
  const newest = records.at(-1);
  const copied = copy && FILE_HEADER.read(copy.fileHeader);
  if (copy && copied && isSoundHeader(copy.fileHeader) && isNewer(copy.fileHeader, records)) {
    return found('header copy', await underHeader(copied), false);
  }
  for (const record of records.toReversed()) {
    const view = await underHeader(FILE_HEADER.read(record.fileHeader));
    // Behind one that does not stand, damage may be all that keeps it from standing: then it has counted blocks.
    const stands = view.recovery.standing.some(({ sequence }) => sequence === record.sequence);
    if (stands) return found('commit record', view, record === newest && !hasLostRecord(head));
  }
  if (newest) return found('commit record', await underHeader(FILE_HEADER.read(newest.fileHeader)), false);
  const blocks = Math.min(Math.max(1, Math.ceil(fileBytes / BLOCK_BYTES)), MAX_BLOCKS);
  return found('lost', await underHeader(newFileHeader(blocks)), false);
}

/**
 * Whether the header copy is of a later state than every commit record. A record says which header it replaces; and a
 * file never has fewer blocks than before, nor loses its trie.
 * @param records - in ascending order of sequence number
 */
function isNewer(copy: Uint8Array, records: readonly CommitRecord[]): boolean {
  const newest = records.at(-1);
  if (newest === undefined) return true;
  const sum = crc32(copy);
  const isOlder = records.some(
    ({ fileHeader, oldFileHeaderCrc }) => oldFileHeaderCrc === sum || Buffer.compare(fileHeader, copy) === 0,
  );
  if (isOlder) return false;
  const [then, now] = [FILE_HEADER.read(newest.fileHeader), FILE_HEADER.read(copy)];
  if (now.blockCount !== then.blockCount) return now.blockCount > then.blockCount;
  if ((now.rootPointer === 0n) !== (then.rootPointer === 0n)) return then.rootPointer === 0n;
  return now.imageCheckpointLsn > then.imageCheckpointLsn;
}

async function provenPages(view: CommittedView, head: Uint8Array): Promise<number[]> {
  const proven: number[] = [];
  for (const { record, isWhole } of await lostRecordedPages(view, recordsIn(head), hasLostRecord(head))) {
    const restored = { position: fileOffset(record.block), bytes: record.blockHead };
    const file = new OverlaidFile(view, [restored], view.journal);
    if (isWhole && tookEffect(await CommittedView.open(file), record)) proven.push(record.block);
  }
  return proven;
}

/**
 * The header that its own checksum asks for, where one field or one bit of it is wrong, be it beside the magic: 64 bits
 * of checksum leave no room for chance.
 * @param known - other states of it
 */
async function derivedHeader(
  home: FileHeader,
  fileBytes: number,
  known: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<FileHeader | undefined> {
  const bytes = new Uint8Array(FILE_HEADER_BYTES);
  FILE_HEADER.write({ ...home, magic: FILE_MAGIC }, bytes);
  const proven = await headerByChecksum(bytes, Math.floor(fileBytes / BLOCK_BYTES), known, signal);
  return proven && FILE_HEADER.read(proven.bytes);
}
