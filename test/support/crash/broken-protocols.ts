import type { Journal } from '../../../src/disk/block-file.ts';
import { decodeCommitRecords } from '../../../src/disk/committed-view.ts';
import { FaultyBlockFile } from '../../../src/disk/faulty-block-file.ts';
import { COMMIT_RECORD, decodeCommitRecord } from '../../../src/format/commit-record.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, FILE_HEAD_BYTES, fileOffset } from '../../../src/format/layout.ts';
import { PAGE_HEADER } from '../../../src/format/page-header.ts';
import type { DiskState } from './crash-disk.ts';
import type { CrashOptions } from './crash-run.ts';

/** Ways to break the commit protocol from below the store; the crash test must detect each of them. */
export const BROKEN_PROTOCOLS: Readonly<Record<string, Pick<CrashOptions, 'between' | 'spoil'>>> = {
  'the sync is left out': {
    between: (disk) => {
      disk.ignoresSync = true;
      return disk;
    },
  },
  'headers are checkpointed before the sync': { between: (disk) => new EarlyCheckpoint(disk) },
  'recovery ignores the first of two records': { spoil: ignoreFirstRecord },
  'a record is overwritten by the next one': { between: (disk) => new OneRecord(disk) },
  'the space of a moved V2 directory is used one commit too soon': { between: (disk) => new EagerReuse(disk) },
  'the journal is removed before the block is synced': { between: (disk) => new NoJournal(disk) },
};

class EarlyCheckpoint extends FaultyBlockFile {
  override async write(source: Uint8Array, position: number): Promise<void> {
    await super.write(source, position);
    const record = decodeCommitRecord(source);
    if (record === undefined) return;
    if (record.block !== 0) await super.write(record.blockHead, fileOffset(record.block));
    await super.write(record.fileHeader, 0);
  }
}

/** Removes the record before the one that is written, as if both had one slot. */
class OneRecord extends FaultyBlockFile {
  override async write(source: Uint8Array, position: number): Promise<void> {
    if (decodeCommitRecord(source)) {
      const [first, second] = COMMIT_RECORD_OFFSETS;
      await super.write(new Uint8Array(COMMIT_RECORD.bytes), position === first ? second : first);
    }
    await super.write(source, position);
  }
}

/** Overwrites the directory that a V2 page had before its last one, as if a page writer used its space for new nodes. */
class EagerReuse extends FaultyBlockFile {
  #freed: { block: number; start: number; end: number }[] = [];

  override async write(source: Uint8Array, position: number): Promise<void> {
    const record = decodeCommitRecord(source);
    if (record) {
      for (const { block, start, end } of this.#freed.splice(0)) {
        if (block === record.block) await super.write(new Uint8Array(end - start).fill(0xee), fileOffset(block, start));
      }
    }
    await this.#watchMove(source, position);
    await super.write(source, position);
  }

  async #watchMove(source: Uint8Array, position: number): Promise<void> {
    const block = position / BLOCK_BYTES;
    if (source.length !== PAGE_HEADER.bytes || block < 1 || !Number.isInteger(block)) return;
    const bytes = new Uint8Array(PAGE_HEADER.bytes);
    await this.file.read(bytes, position);
    const [old, next] = [PAGE_HEADER.read(bytes), PAGE_HEADER.read(source)];
    const [start, end] = [old.directoryStart, old.directoryStart + old.directoryLength];
    const nextEnd = next.directoryStart + next.directoryLength;
    const inUse = start < next.freeOffset || (start < nextEnd && next.directoryStart < end);
    if (old.directoryLength > 0 && old.directoryStart !== next.directoryStart && !inUse) {
      this.#freed.push({ block, start, end });
    }
  }
}

/** A journal that is removed before the block that it protects is synced. */
class NoJournal extends FaultyBlockFile {
  override readonly journal: Journal = {
    read: async () => this.file.journal.read(),
    write: async () => {},
    remove: async () => {},
  };
}

function ignoreFirstRecord({ image }: DiskState): void {
  const head = new Uint8Array(FILE_HEAD_BYTES);
  image.read(head, 0);
  const [first, second] = decodeCommitRecords(head);
  if (first === undefined || second === undefined) return;
  const offset = COMMIT_RECORD_OFFSETS[first.sequence % 2n === 0n ? 0 : 1];
  image.write(new Uint8Array(COMMIT_RECORD.bytes), offset);
}
