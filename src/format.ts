// The subpath `artrie-pages/format`: the file format as code, without input and output. docs/format.md describes it.

export {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  decodeFreeLink,
  decodePointer,
  encodeFreeLink,
  encodePointer,
  FILE_HEAD_BYTES,
  FILE_HEADER_BYTES,
  FILE_ID_OFFSET,
  fileOffset,
  HEADER_COPY_OFFSET,
  MAX_BLOCKS,
  MIN_PAGE_BYTES,
  NODE_AREA_OFFSET,
  NODE_TYPES,
  PAGE_HEADER_BYTES,
  type Pointer,
  ROOT_DESCRIPTOR_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
  V1_MAX_NODE_BYTES,
  V1_MAX_SLOTS,
  V1_RESERVE_BYTES,
  V1_SLOT_BYTES,
  V2_MAX_SLOTS,
} from './format/layout.ts';

export type { Envelope, Field, FieldKind, PlacedField, RecordLayout, SealedRecordLayout } from './bytes/record.ts';
export {
  FILE_HEADER,
  FILE_MAGIC,
  FILE_VERSION,
  type FileHeader,
  fileHeaderChecksum,
  HEADER_COPY,
  type HeaderCopy,
  ROOT_DESCRIPTOR,
  type RootDescriptor,
} from './format/file-header.ts';
export { FILE_ID, type FileId } from './format/file-id.ts';
export { DIGEST, DIGEST_OFFSET, type Digest } from './format/digest.ts';
export type { Hash64 } from './bytes/checksum.ts';
export {
  COMMIT_KIND,
  COMMIT_RECORD,
  COMMIT_RECORD_MAGIC,
  COMMIT_RECORD_VERSION,
  type CommitRecord,
  decodeCommitRecord,
  RECORD_DIGEST,
  type RecordDigest,
  type RecordDigestFields,
} from './format/commit-record.ts';
export {
  PAGE_FLAG,
  PAGE_HEADER,
  PAGE_MAGIC,
  PAGE_VERSION,
  type PageFormat,
  pageFormatOf,
  type PageHeader,
} from './format/page-header.ts';

export { decodePage, isLostSlot, maxNodeBytes, nodeOf, nodesOf, type Page } from './format/page.ts';
export {
  ByteNodeArena,
  ByteNodeArenaV1,
  ByteNodeArenaV2,
  type DirectorySavings,
  type FromBytesOptions,
} from './format/byte-node-arena.ts';
export { DirectoryScratch, V2_SLOT, type V2Slot } from './format/v2-directory.ts';
export { V1_SLOT, type V1Slot } from './format/v1-page.ts';
export type { ByteRange, SlotDirectory, SlotScan } from './format/slots.ts';

export { pageProblems } from './format/page-checks.ts';
export { fileHeaderProblems, fileSizeProblems } from './format/header-checks.ts';
export type { FileRange, FlippedBit, Problem, Severity } from './format/problem.ts';
export type { ProblemCode } from './errors.ts';

export { fileHeaderRegions, pageRegions, type Region, type RegionKind } from './format/regions.ts';
