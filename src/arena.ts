// The subpath `artrie-pages/arena`: memory for keys, and for bytes that live as long as an epoch.

export { BatchKeyGenerator, InternedTablePrefix, KeyBuffer } from './arena/key-buffer.ts';
export type { KeyName, KeyTable } from './arena/key-buffer.ts';
export { MAX_BUFFERED_KEY_BYTES, MAX_INTERNED_TABLE_BYTES } from './arena/key-buffer.ts';
export { KeyArena, KeyHandle, withArena } from './arena/key-arena.ts';
export { type KeyHash, KeyMap } from './arena/key-map.ts';
export type { Hash64 } from './bytes/checksum.ts';
export { ARENA_BLOCK_BYTES, type ArenaMemoryOptions, type MemoryStats } from './arena/block-memory.ts';
export { type ArenaHandle, type HandleSource, NodeRanges } from './arena/handle-table.ts';
export { EpochArena } from './arena/epoch-arena.ts';
export type { EpochArenaDescriptor, EpochArenaOptions, EpochArenaStats } from './arena/epoch-arena.ts';
export { ArenaPool, WorkerArena } from './arena/arena-pool.ts';
export type { ArenaPoolDescriptor, ArenaPoolOptions, ArenaPoolStats } from './arena/arena-pool.ts';
export { ConcurrentArena } from './arena/concurrent-arena.ts';
export type {
  ArenaShard,
  ConcurrentArenaDescriptor,
  ConcurrentArenaOptions,
  ConcurrentArenaStats,
  ShardStats,
} from './arena/concurrent-arena.ts';
export type { EndingThread } from './arena/thread-slots.ts';
