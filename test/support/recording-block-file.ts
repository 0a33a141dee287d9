import { type BlockFileCall, FaultyBlockFile } from '../../src/disk/faulty-block-file.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';

/** A call that may be recorded. The bytes of a write are a copy. */
export type Operation = BlockFileCall;

/** A block file in memory that records the calls that succeed, except `size` and `journal read`. */
export class RecordingBlockFile extends FaultyBlockFile {
  override readonly file: MemoryBlockFile;
  operations: Operation[] = [];
  /** Called before each call that can be recorded; if it returns the name of an errno, the call fails with that. */
  failOn: (operation: Operation) => string | undefined = () => undefined;

  constructor(bytes?: Uint8Array) {
    const file = new MemoryBlockFile(bytes, 'recording');
    super(file);
    this.file = file;
    this.onCall = (call) => {
      if (call.kind === 'size' || call.kind === 'journal read') return undefined;
      const operation = call.kind === 'write' ? { ...call, bytes: call.bytes.slice() } : call;
      const errno = this.failOn(operation);
      if (errno !== undefined) return { errno };
      this.operations.push(operation);
      return undefined;
    };
  }

  get bytes(): Uint8Array {
    return this.file.bytes;
  }

  /** Number of recorded calls of a kind. */
  override count(kind: Operation['kind']): number {
    return this.operations.filter((operation) => operation.kind === kind).length;
  }
}
