import type { BlockFile, Journal } from '../../../src/disk/block-file.ts';
import { recordsIn } from '../../../src/disk/committed-view.ts';
import { COMMIT_RECORD, decodeCommitRecord } from '../../../src/format/commit-record.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, FILE_HEAD_BYTES, fileOffset } from '../../../src/format/layout.ts';
import { PAGE_HEADER } from '../../../src/format/page-header.ts';
import type { CrashDisk, DiskState } from './crash-disk.ts';
import type { CrashOptions } from './crash-run.ts';

/** Ways to break the commit protocol from below the store; a harness that lets one of them pass proves nothing. */
export const BROKEN_PROTOCOLS: Readonly<Record<string, Pick<CrashOptions, 'between' | 'spoil'>>> = {
  'the sync is left out': {
    between: (disk) => {
      disk.ignoresSync = true;
      return disk;
    },
  },
  'headers go home before the sync': { between: (disk) => new EarlyHome(disk) },
  'recovery ignores the first of two records': { spoil: ignoreFirstRecord },
  'a record is written over by the next one': { between: (disk) => new OneRecord(disk) },
  'the space of a moved V2 directory is used one commit too soon': { between: (disk) => new EagerReuse(disk) },
  'the journal is removed before the block is synced': { between: (disk) => new NoJournal(disk) },
};

/** Passes everything on. */
class Between implements BlockFile {
  readonly name = 'between';
  readonly journal: Journal;
  protected readonly disk: CrashDisk;

  constructor(disk: CrashDisk) {
    this.disk = disk;
    this.journal = disk.journal;
  }

  async size(): Promise<number> {
    return this.disk.size();
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    return this.disk.read(target, position);
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    await this.disk.write(source, position);
  }

  async truncate(bytes: number): Promise<void> {
    await this.disk.truncate(bytes);
  }

  async sync(): Promise<void> {
    await this.disk.sync();
  }

  async close(): Promise<void> {}
}

class EarlyHome extends Between {
  override async write(source: Uint8Array, position: number): Promise<void> {
    await super.write(source, position);
    const record = decodeCommitRecord(source);
    if (record === undefined) return;
    if (record.block !== 0) await super.write(record.blockHead, fileOffset(record.block));
    await super.write(record.fileHeader, 0);
  }
}

/** Puts both records in one place, and reads both from there. */
class OneRecord extends Between {
  override async write(source: Uint8Array, position: number): Promise<void> {
    await super.write(source, position === COMMIT_RECORD_OFFSETS[1] ? COMMIT_RECORD_OFFSETS[0] : position);
  }
}

/** Writes over the directory that a V2 page had before its last one, as a page writer would that gave its space to new nodes. */
class EagerReuse extends Between {
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
    await this.disk.read(bytes, position);
    const [old, next] = [PAGE_HEADER.read(bytes), PAGE_HEADER.read(source)];
    const [start, end] = [old.directoryStart, old.directoryStart + old.directoryLength];
    const nextEnd = next.directoryStart + next.directoryLength;
    const inUse = start < next.freeOffset || (start < nextEnd && next.directoryStart < end);
    if (old.directoryLength > 0 && old.directoryStart !== next.directoryStart && !inUse) {
      this.#freed.push({ block, start, end });
    }
  }
}

/** A journal that is gone before the bytes are safe that it was made for. */
class NoJournal extends Between {
  override readonly journal: Journal = {
    read: async () => this.disk.journal.read(),
    write: async () => {},
    remove: async () => {},
  };
}

function ignoreFirstRecord({ image }: DiskState): void {
  const head = new Uint8Array(FILE_HEAD_BYTES);
  image.read(head, 0);
  const [first, second] = recordsIn(head);
  if (first === undefined || second === undefined) return;
  const offset = COMMIT_RECORD_OFFSETS[first.sequence % 2n === 0n ? 0 : 1];
  image.write(new Uint8Array(COMMIT_RECORD.bytes), offset);
}
