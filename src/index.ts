// The public API. Everything below may change between minor versions while it is not exported here.

export { type ErrorCode, type ErrorDetail, type OperationCode, PageStoreError, type ProblemCode } from './errors.ts';

export { PageStore } from './store/page-store.ts';
export { NodeCursor } from './store/page-reader.ts';
export type { CreateOptions, OpenOptions } from './store/page-store.ts';
export type { FinalizedPage, FinalizedPageSink } from './store/finalizer.ts';
export { formatRef, type PageRef, parseRef, type RefRange, type RefRun } from './store/page-ref.ts';
export { collectStatistics } from './view/statistics.ts';
export type { PageStatistics } from './view/statistics.ts';

export { KeyBuffer, MAX_BUFFERED_KEY_BYTES } from './arena/key-buffer.ts';
export { InternedTablePrefix, MAX_INTERNED_TABLE_BYTES } from './arena/key-buffer.ts';
export { BatchKeyGenerator } from './arena/key-buffer.ts';
export { KeyArena } from './arena/key-arena.ts';
export { withArena } from './arena/key-arena.ts';
export { KeyHandle } from './arena/key-arena.ts';
export { type KeyHash, KeyMap } from './arena/key-map.ts';
export type { Hash64 } from './bytes/checksum.ts';
export { ARENA_BLOCK_BYTES } from './arena/block-memory.ts';
export {
  EpochArena,
  type EpochArenaDescriptor,
  type EpochArenaOptions,
  type EpochArenaStats,
} from './arena/epoch-arena.ts';
export {
  ArenaPool,
  type ArenaPoolDescriptor,
  type ArenaPoolOptions,
  type ArenaPoolStats,
  type EpochHandle,
} from './arena/arena-pool.ts';
export { WorkerArena } from './arena/arena-pool.ts';
export {
  type ArenaShard,
  ConcurrentArena,
  type ConcurrentArenaDescriptor,
  type ConcurrentArenaOptions,
  type ConcurrentArenaStats,
  type ShardStats,
} from './arena/concurrent-arena.ts';

export { DiskManager } from './disk/disk-manager.ts';
export type { AddedBlocks, ChangedHead, Commit, ReplacedHead } from './disk/commit-log.ts';
export type { Overwrite } from './disk/overwrite.ts';
export type { BlockFile, Journal } from './disk/block-file.ts';
export { MemoryBlockFile } from './disk/memory-block-file.ts';
export { type Access, openBlockFile } from './disk/node-block-file.ts';
export { createBlockFile } from './disk/node-create.ts';
export type { LockOptions } from './disk/node-lock.ts';

export { BLOCK_BYTES, MAX_BLOCKS } from './format/layout.ts';
export type { FileHeader } from './format/file-header.ts';
export type { PageFormat, PageHeader } from './format/page-header.ts';
export type { ByteRange, SlotDirectory } from './format/slots.ts';
export { decodePage, maxNodeBytes, nodeOf, nodesOf, type Page } from './format/page.ts';
export type { Problem, Severity } from './format/problem.ts';

export { verifyFile } from './verify/verify-file.ts';
export type { Finding, FindingSink, VerifyOptions, VerifySummary } from './verify/rule.ts';

export type { ExportEncoding } from './transfer/export.ts';
export { type ExportedPage, exportNodes, type ExportOptions } from './transfer/export.ts';
export { importNodes, type ImportOptions, type ImportSummary } from './transfer/import.ts';
export { compactFile, type CompactOptions } from './transfer/compact.ts';
export type { CompactSummary, FileFigures, RefMapSink } from './transfer/compact.ts';
export type { MovedPage } from './transfer/node-packer.ts';
export { diffFiles, type DiffOptions, type DiffSummary } from './transfer/diff.ts';
export type { Difference, DifferenceSink } from './transfer/difference.ts';
export { recoverFile } from './recover/recover-file.ts';
export type {
  BlockKind,
  BlockProblem,
  BlockReport,
  HeaderSource,
  MovedRun,
  PageBasis,
  RecoverOptions,
  RecoverSink,
  RecoverSummary,
  RootOutcome,
} from './recover/recovery-report.ts';
export type { SlotCounts, SlotRun, SlotState } from './salvage/slot-table.ts';
export { planRepair, repairFile, type UndoPlace, undoRepair, type UndoSummary } from './repair/repair-file.ts';
export {
  type Change,
  type LeftProblem,
  type Repair,
  type RepairId,
  type RepairOptions,
  REPAIRS,
  type RepairSink,
  type RepairSummary,
} from './repair/repairs.ts';
export { NodeUndoPlace, openUndoPath } from './disk/node-undo-file.ts';
