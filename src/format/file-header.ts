import { crc32, fnv1a64Into, Hash64, updateFnv1a64 } from '../bytes/checksum.ts';
import { isZero, pooledBytes } from '../bytes/buffer.ts';
import { bytesOf, defineRecord, type RecordLayout, u32, u64, u8 } from '../bytes/record.ts';
import { DIGEST, DIGEST_OFFSET, FILE_START_BYTES } from './digest.ts';
import { FILE_HEADER_BYTES, HEADER_COPY_OFFSET, ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from './layout.ts';

/** `00 00 01 00 54 52 41 50` in the file. */
export const FILE_MAGIC = 0x5041_5254_0001_0000n;
/** Highest supported version, and that of new files. */
export const FILE_VERSION = 2;

/** Bytes 0 to 63 of block 0. @see docs/format.md#file-header */
export interface FileHeader {
  magic: bigint;
  version: number;
  flags: number;
  rootPointer: bigint;
  blockCount: number;
  padding: number;
  freeListHead: bigint;
  entryCount: bigint;
  checksum: bigint;
  imageCheckpointLsn: bigint;
}

export const FILE_HEADER: RecordLayout<FileHeader> = defineRecord<FileHeader>({
  magic: u64('0x5041_5254_0001_0000'),
  version: u32('1 or 2'),
  flags: u32('0'),
  rootPointer: u64('pointer to the root descriptor, or 0'),
  blockCount: u32('blocks in the file, including block 0'),
  padding: u32('0'),
  freeListHead: u64('link to the first free block, or 0 for none'),
  entryCount: u64('terms of the trie; without a root pointer, nodes in all pages, or 0 if not counted'),
  checksum: u64('FNV-1a, 64 bit, of the fields above except the padding, in version 2 also of the field below'),
  imageCheckpointLsn: u64('used by the trie since version 2; 0 in version 1'),
});

const OFFSETS = FILE_HEADER.offsets;

/** Bytes 64 to 81 of block 0, if the root pointer points there. @see docs/format.md#root-descriptor */
export interface RootDescriptor {
  rootType: number;
  isFinal: number;
  termCount: number;
  arenaCount: number;
  rootRecord: bigint;
}

export const ROOT_DESCRIPTOR: RecordLayout<RootDescriptor> = defineRecord<RootDescriptor>({
  rootType: u8('0 empty, 1 bucket, 2 ART node'),
  isFinal: u8('1 if the empty term is in the trie, else 0'),
  termCount: u32('terms of the trie'),
  arenaCount: u32('arenas (pages) of the trie'),
  rootRecord: u64('pointer to the root record'),
});

/** A backup of file header and root descriptor, in another sector of block 0. @see docs/format.md#header-copy */
export interface HeaderCopy {
  bytes: Uint8Array;
  checksum: number;
}

export const HEADER_COPY: RecordLayout<HeaderCopy> = defineRecord<HeaderCopy>({
  bytes: bytesOf(FILE_HEADER_BYTES + ROOT_DESCRIPTOR_BYTES, 'bytes 0..81 of block 0'),
  checksum: u32('CRC-32 of those bytes'),
});

export function assertFileHeader(call: string, header: Pick<FileHeader, 'blockCount'>): void {
  if (typeof (header as FileHeader | null | undefined)?.blockCount !== 'number')
    throw new TypeError(`${call}: header must be a file header`);
}

export function fileHeaderChecksum(header: FileHeader): bigint {
  assertFileHeader('fileHeaderChecksum', header);
  const bytes = new Uint8Array(FILE_HEADER_BYTES);
  FILE_HEADER.write(header, bytes);
  return checksumOf(bytes, header.version);
}

/** @param bytes - a file header of 64 bytes */
export function hasValidHeaderChecksum(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FILE_HEADER_BYTES);
  return checksumOf(bytes, view.getUint32(OFFSETS.version, true)) === view.getBigUint64(OFFSETS.checksum, true);
}

const sharedHash = new Hash64();

function checksumOf(bytes: Uint8Array, version: number): bigint {
  fnv1a64Into(bytes, 0, OFFSETS.padding, sharedHash);
  updateFnv1a64(bytes, OFFSETS.freeListHead, OFFSETS.checksum, sharedHash);
  if (version >= 2) updateFnv1a64(bytes, OFFSETS.imageCheckpointLsn, FILE_HEADER_BYTES, sharedHash);
  return sharedHash.value;
}

/** Computes a new checksum. */
export function encodeFileHeader(header: FileHeader): Uint8Array {
  const bytes = pooledBytes(FILE_HEADER_BYTES);
  FILE_HEADER.write(header, bytes);
  FILE_HEADER.set('checksum', checksumOf(bytes, header.version), bytes);
  return bytes;
}

/** What appending, allocating and freeing change. */
export type FileCounts = Pick<FileHeader, 'blockCount' | 'freeListHead' | 'entryCount'>;

/** Computes a new checksum. @param bytes - the present header, of `version` */
export function encodeFileHeaderWithCounts(bytes: Uint8Array, version: number, counts: FileCounts): Uint8Array {
  const changed = pooledBytes(FILE_HEADER_BYTES);
  changed.set(bytes);
  const view = new DataView(changed.buffer, changed.byteOffset, FILE_HEADER_BYTES);
  view.setUint32(OFFSETS.blockCount, counts.blockCount, true);
  view.setBigUint64(OFFSETS.freeListHead, counts.freeListHead, true);
  view.setBigUint64(OFFSETS.entryCount, counts.entryCount, true);
  view.setBigUint64(OFFSETS.checksum, checksumOf(changed, version), true);
  return changed;
}

export function newFileHeader(blockCount: number): FileHeader {
  const header: FileHeader = {
    magic: FILE_MAGIC,
    version: FILE_VERSION,
    flags: 0,
    rootPointer: 0n,
    blockCount,
    padding: 0,
    freeListHead: 0n,
    entryCount: 0n,
    checksum: 0n,
    imageCheckpointLsn: 0n,
  };
  header.checksum = fileHeaderChecksum(header);
  return header;
}

/**
 * With a copy of the digest behind it, at the same distance as the digest from the header.
 * @param source - the first 128 bytes of block 0, or 82: then there is no digest
 */
export function encodeHeaderCopy(source: Uint8Array): Uint8Array {
  const bytes = source.subarray(0, ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  const copy = new Uint8Array(FILE_START_BYTES);
  HEADER_COPY.write({ bytes, checksum: crc32(bytes) }, copy);
  copy.set(source.subarray(DIGEST_OFFSET, DIGEST_OFFSET + DIGEST.bytes), DIGEST_OFFSET);
  return copy;
}

/** `absent`: all zero, as in files of other programs. */
export type HeaderCopyState = 'absent' | 'valid' | 'damaged';

/** @param block0 - at least the first 12,374 bytes of block 0 */
export function headerCopyState(block0: Uint8Array): HeaderCopyState {
  const stored = block0.subarray(HEADER_COPY_OFFSET, HEADER_COPY_OFFSET + HEADER_COPY.bytes);
  if (isZero(stored)) return 'absent';
  const { bytes, checksum } = HEADER_COPY.read(stored);
  return crc32(bytes) === checksum ? 'valid' : 'damaged';
}
