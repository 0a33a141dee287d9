import { crc32 } from '../bytes/checksum.ts';
import { COMMIT_KIND, type RecordedChange } from '../format/commit-record.ts';
import { type FileHeader, withCounts } from '../format/file-header.ts';
import { PAGE_HEADER_BYTES } from '../format/layout.ts';
import { encodeFreeLink } from '../format/pointer.ts';

/** New first 64 bytes of a block that is in the file already. */
export interface ChangedHead {
  readonly block: number;
  readonly head: Uint8Array;
  /** The 64 bytes that they replace. */
  readonly oldHead: Uint8Array;
  /** Whether they are the link of a freed block, and not a page header. */
  readonly isLink?: boolean;
}

/** A page header that takes the place of another one, outside of a commit record. */
export interface ReplacedHead {
  readonly block: number;
  readonly head: Uint8Array;
  readonly oldHead: Uint8Array;
}

/** Blocks written behind the last one, whole. */
export interface AddedBlocks {
  readonly count: number;
  /** CRC-32 over the first 64 bytes of each, in their order. */
  readonly headsCrc: number;
}

/** The headers that make a batch part of the file. Everything they cover has been written before. */
export interface Commit {
  readonly changed?: ChangedHead | undefined;
  readonly added?: AddedBlocks | undefined;
  /** Id of the first free block, 0 for none; the same as before unless given. */
  readonly firstFree?: number;
  /** Nodes added (or, negative, removed); counted in the header where the header counts. */
  readonly nodes?: number;
}

const NO_HEAD = new Uint8Array(PAGE_HEADER_BYTES);

/**
 * What a commit changes in the headers of a file.
 * @param header - the file header so far
 * @param headerBytes - its bytes
 */
export function headerChange(header: FileHeader, headerBytes: Uint8Array, commit: Commit): RecordedChange {
  const { changed, added, firstFree, nodes = 0 } = commit;
  const entryCount = header.entryCount + BigInt(nodes);
  const next = {
    blockCount: header.blockCount + (added?.count ?? 0),
    freeListHead: firstFree === undefined ? header.freeListHead : encodeFreeLink(firstFree),
    entryCount: entryCount < 0n ? 0n : entryCount,
  };
  return {
    block: changed?.block ?? 0,
    oldPageHeaderCrc: changed ? crc32(changed.oldHead) : 0,
    oldFileHeaderCrc: crc32(headerBytes),
    kind: changed?.isLink === true ? COMMIT_KIND.freeLink : COMMIT_KIND.pageHeader,
    blockHead: changed?.head ?? NO_HEAD,
    fileHeader: withCounts(headerBytes, header.version, next),
    oldBlockCount: header.blockCount,
    addedHeadersCrc: added?.headsCrc ?? 0,
  };
}
