// The subpath `artrie-pages/testing`: block files for tests of programs that use the library, and of other BlockFiles.

export type { BlockFile, Journal } from './disk/block-file.ts';
export { MemoryBlockFile, MemoryJournal } from './disk/block-file.ts';
export { FaultyBlockFile } from './disk/faulty-block-file.ts';
export type { BlockFileCall, BlockFileCallKind, Failure, Fault } from './disk/faulty-block-file.ts';
