// The public API: page files. The subpaths arena.ts, format.ts and testing.ts have the rest. What is not exported by
// one of the four may change at any time.

export {
  type ErrorCode,
  type ErrorDetail,
  type OperationCode,
  PageStoreError,
  type ProblemCode,
  type TrieProblemCode,
} from './errors.ts';

export { create, open, PageStore } from './store/page-store.ts';
export type { CreateOptions, OpenOptions } from './store/page-store.ts';
export type { PagesOptions } from './store/page-reader.ts';
export type { FinalizedPage, FinalizeOptions } from './store/finalize.ts';
export type { NodeCursor } from './store/page-reader.ts';
export { formatRef, PageRef, parseRef, type RefRange, type RefRun } from './store/page-ref.ts';
export { isLostSlot, nodeOf, nodesOf, type Page } from './format/page.ts';
export type { PageFormat, PageHeader } from './format/page-header.ts';
export type { ByteRange, SlotDirectory, SlotScan } from './format/slots.ts';
export type { FileRange, FlippedBit, Problem, Severity } from './format/problem.ts';

export { openTrie, type TermsOptions, type Trie, type TrieTerm } from './trie/trie.ts';
export type { TermBounds } from './trie/term-range.ts';

export { stat, type Statistics, type StatOptions } from './view/statistics.ts';

export { type Finding, Verifier, verify, type VerifyOptions, type VerifyReport } from './verify/verify.ts';
export type { DigestResult } from './verify/digest-rules.ts';

export { recover } from './recover/recover.ts';
export type {
  BlockKind,
  BlockProblem,
  BlockReport,
  RecoveredHeaderSource,
  MovedRun,
  PageBasis,
  RecoverOptions,
  RecoverReport,
  RootOutcome,
} from './recover/report.ts';
export type { HeaderSource } from './salvage/header-candidates.ts';
export type { SlotCounts, SlotRun, SlotState } from './salvage/page-slots.ts';

export {
  repair,
  type RepairOptions,
  type UndoOptions,
  type UndoPlace,
  undoRepair,
  type UndoReport,
} from './repair/repair.ts';
export {
  type Change,
  type LeftProblem,
  type Repair,
  type RepairId,
  type RepairReport,
  type RepairScanOptions,
  REPAIRS,
} from './repair/repairs.ts';

export {
  compact,
  compactInPlace,
  type CompactInPlaceOptions,
  type CompactOptions,
  type CompactReport,
  type FileCounts,
} from './transfer/compact.ts';
export type { MovedPage } from './transfer/node-packer.ts';
export { diff, type DiffOptions, type DiffReport } from './transfer/diff.ts';
export type {
  BlockDifference,
  ChangedNode,
  Difference,
  DifferenceCounts,
  HeaderDifference,
  NodeDifference,
  UncomparedDamage,
} from './transfer/difference.ts';
export { type ExportedPage, type ExportEncoding, exportNodes, type ExportOptions } from './transfer/export.ts';
export { importNodes, type ImportOptions, type ImportReport } from './transfer/import.ts';
export { importCsv, type ImportCsvOptions, type ImportCsvReport } from './transfer/import-csv.ts';
export type { KeyRefs } from './transfer/key-refs.ts';
export { findKeys, type FindKeysOptions, type FoundKey } from './transfer/find-keys.ts';

export type { Access, BlockFile, Journal } from './disk/block-file.ts';
export { createBlockFile, type CreateFileOptions } from './disk/node-create.ts';
export { openBlockFile } from './disk/node-block-file.ts';
export type { LockOptions } from './disk/node-lock.ts';
export { DiskManager } from './disk/disk-manager.ts';
export type { LongWork } from './disk/long-work.ts';
export type { AddedBlocks, ChangedHead, Commit, ReplacedHead } from './disk/commit-log.ts';
export type { BlockSet, FreeBlocks, ListedBlocks } from './disk/free-list.ts';
export type { Overwrite } from './disk/journal.ts';
export type {
  ByteNodeArena,
  ByteNodeArenaV1,
  ByteNodeArenaV2,
  DirectorySavings,
  FromBytesOptions,
} from './format/byte-node-arena.ts';
export type { FileHeader } from './format/file-header.ts';
export { BLOCK_BYTES, MAX_BLOCKS } from './format/layout.ts';
export type { ArenaHandle, HandleSource, NodeRanges } from './arena/handle-table.ts';
