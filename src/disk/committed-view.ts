import { crc32 } from '../bytes/checksum.ts';
import { COMMIT_KIND, COMMIT_RECORD, type CommitRecord, decodeCommitRecord } from '../format/commit-record.ts';
import { FILE_HEADER, type FileHeader } from '../format/file-header.ts';
import { type BeforeImage, decodeJournal, decodePatchJournal, journalState, type Patch } from '../format/journal.ts';
import {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  FILE_HEADER_BYTES,
  fileOffset,
  NODE_AREA_OFFSET,
  PAGE_HEADER_BYTES,
} from '../format/layout.ts';
import { firstPageError } from '../format/page-checks.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import { decodePage } from '../format/page.ts';
import { fileHeaderProblems } from '../format/problem.ts';
import { type BlockFile, type Journal, ReadOnlyFile } from './block-file.ts';
import { readSettledHead } from './file-head.ts';
import { layPatches } from './overwrite.ts';

/** The commit records whose checksums hold, in ascending order of sequence number. @param head - the first 12,800 bytes of block 0 */
export function recordsIn(head: Uint8Array): CommitRecord[] {
  const records = COMMIT_RECORD_OFFSETS.map((offset) => decodeCommitRecord(head, offset));
  return records.filter((record) => record !== undefined).toSorted((a, b) => (a.sequence < b.sequence ? -1 : 1));
}

/** Whether a commit record is damaged or gone: then it may have been the newest one. @param head - the first 12,800 bytes of block 0 */
export function hasLostRecord(head: Uint8Array): boolean {
  const used = COMMIT_RECORD_OFFSETS.filter((offset) =>
    head.subarray(offset, offset + COMMIT_RECORD.bytes).some((byte) => byte !== 0),
  );
  const records = recordsIn(head);
  // Only the first commit of a file leaves one record alone.
  return used.length > records.length || (records.length === 1 && records[0]?.sequence !== 1n);
}

/** Whether the headers that a record speaks of are in their places. */
export async function isHome(file: BlockFile, { fileHeader, block, blockHead }: CommitRecord): Promise<boolean> {
  if (Buffer.compare(await readHead(file, 0), fileHeader) !== 0) return false;
  return block === 0 || Buffer.compare(await readHead(file, block), blockHead) === 0;
}

/**
 * Whether a record stands: its headers replace what the file has, or are there already, and everything that they
 * cover is on the device. Otherwise its batch was never acknowledged, or somebody else has changed the file since.
 * @param file - as the records before this one left it
 */
export async function judgeRecord(file: BlockFile, record: CommitRecord): Promise<boolean> {
  if (!(await fitsHeaders(file, record))) return false;
  const { block, blockHead, oldBlockCount } = record;
  const header = FILE_HEADER.read(record.fileHeader);
  const target = new Uint8Array(BLOCK_BYTES);
  if (block !== 0 && record.kind === COMMIT_KIND.pageHeader) {
    if (!(await isSoundPage(file, block, blockHead, target))) return false;
  }
  let sum = 0;
  for (let added = oldBlockCount; added < header.blockCount; added++) {
    const head = await readHead(file, added);
    sum = crc32(head, sum);
    if (!(await isSoundPage(file, added, head, target))) return false;
  }
  return sum === record.addedHeadersCrc;
}

/** Whether the headers of a record replace what the file has, or are there already: one that does not fit them cannot stand. */
export async function fitsHeaders(file: BlockFile, record: CommitRecord): Promise<boolean> {
  const { block, blockHead, fileHeader, oldBlockCount } = record;
  const header = FILE_HEADER.read(fileHeader);
  const wholeBlocks = Math.floor((await file.size()) / BLOCK_BYTES);
  if (fileHeaderProblems(header).next().done !== true) return false;
  if (header.blockCount < oldBlockCount || header.blockCount > wholeBlocks || block >= oldBlockCount) return false;
  if (!isOldOrNew(await readHead(file, 0), record.oldFileHeaderCrc, fileHeader)) return false;
  return block === 0 || isOldOrNew(await readHead(file, block), record.oldPageHeaderCrc, blockHead);
}

/** Whether bytes are the ones that a change replaces, or those that it puts there. */
export function isOldOrNew(bytes: Uint8Array, oldCrc: number, newBytes: Uint8Array): boolean {
  return crc32(bytes) === oldCrc || Buffer.compare(bytes, newBytes) === 0;
}

/** Whether the page in `block` is sound under the header `head`. @param target - 262,144 bytes to read it to */
async function isSoundPage(file: BlockFile, block: number, head: Uint8Array, target: Uint8Array): Promise<boolean> {
  target.set(head);
  const { nodeCount, freeOffset } = PAGE_HEADER.read(head);
  // Under the header of an empty page the rest of the block may hold anything: many can be allocated at once.
  if (nodeCount > 0 || freeOffset !== NODE_AREA_OFFSET) {
    const rest = target.subarray(PAGE_HEADER_BYTES);
    if ((await file.read(rest, fileOffset(block, PAGE_HEADER_BYTES))) < rest.length) return false;
  }
  const page = decodePage(target);
  return page !== undefined && firstPageError(page, block) === undefined;
}

async function readHead(file: BlockFile, block: number): Promise<Uint8Array> {
  const head = new Uint8Array(block === 0 ? FILE_HEADER_BYTES : PAGE_HEADER_BYTES);
  await file.read(head, fileOffset(block));
  return head;
}

/** How often something that changes while it is read, and is not sound, is read again. */
const MAX_READS = 20;

/** What commit records and a journal say of a file. */
interface Recovery {
  /** The file header, records of commits and header copy, as they were read. */
  readonly head: Uint8Array;
  /** The records that stand and are not home, in ascending order of sequence number. */
  readonly pending: readonly CommitRecord[];
  /** The records that stand, those included that are home. */
  readonly standing: readonly CommitRecord[];
  readonly before: BeforeImage | undefined;
  /** What a journal of patches holds. */
  readonly patches: readonly Patch[] | undefined;
  /** All records whose checksums hold, in ascending order of sequence number. */
  readonly records: readonly CommitRecord[];
  /** The last record, standing or not; undefined where there is none. */
  readonly lastRecord: CommitRecord | undefined;
  /** Whether the file has all that the last record says. */
  readonly lastIsHome: boolean;
}

/**
 * A page file as its last commit left it, for those who write nothing: headers that only a commit record has
 * yet, and a block whose overwriting was cut off, are put right on the way from the file to the reader.
 * A writer may be at work on the file meanwhile: what has reached its place by then is read from there.
 */
export class CommittedView extends ReadOnlyFile {
  #recovery: Recovery;
  #hasChanged = false;

  private constructor(file: BlockFile, head: Uint8Array) {
    super(file);
    this.#recovery = {
      head,
      pending: [],
      standing: [],
      before: undefined,
      patches: undefined,
      records: [],
      lastRecord: undefined,
      lastIsHome: true,
    };
  }

  /** @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `IO` */
  static async open(file: BlockFile): Promise<CommittedView> {
    const view = new CommittedView(file, await readSettledHead(file));
    await view.#judge(await file.journal.read());
    return view;
  }

  get journal(): Journal {
    return this.file.journal;
  }

  /** What commit records and the journal say; a writer that opens the file carries it out. */
  get recovery(): Readonly<Recovery> {
    return this.#recovery;
  }

  /** Whether a refresh has found the file header or a record changed since the view was opened: something was committed. */
  get hasChanged(): boolean {
    return this.#hasChanged;
  }

  /** Looks at the commit records and the journal again. @returns whether the file header or a record has changed since the last time */
  async refresh(): Promise<boolean> {
    const head = await readSettledHead(this.file);
    const changed = Buffer.compare(head, this.#recovery.head) !== 0;
    this.#hasChanged ||= changed;
    const journal = await this.file.journal.read();
    // To judge a record may take reading many blocks.
    const { before, patches } = this.#recovery;
    if (!changed && journal === undefined && before === undefined && patches === undefined) return false;
    const fresh = new CommittedView(this.file, head);
    await fresh.#judge(journal);
    this.#recovery = fresh.#recovery;
    return changed;
  }

  /**
   * As {@link refresh}, for who goes by the file header.
   * @param known - the header as it was; the view may have seen a change before, on its own, while it read a block
   * @returns the header, where something has changed since
   */
  async refreshHeader(known: FileHeader): Promise<FileHeader | undefined> {
    const hasChanged = await this.refresh();
    const header = await this.readFileHeader();
    const [before, now] = [new Uint8Array(FILE_HEADER_BYTES), new Uint8Array(FILE_HEADER_BYTES)];
    FILE_HEADER.write(known, before);
    FILE_HEADER.write(header, now);
    return hasChanged || Buffer.compare(before, now) !== 0 ? header : undefined;
  }

  /**
   * Reads a block until it is sound, or the same twice: a writer may be at work on it.
   * @param target - 262,144 bytes
   * @param isSound - judges what `target` holds; asked after every read that has changed it
   * @returns the bytes that the file has of the block
   */
  async readSettled(block: number, target: Uint8Array, isSound: () => boolean): Promise<number> {
    let bytes = await this.read(target, fileOffset(block));
    for (let reads = 1; !isSound() && reads < MAX_READS; reads++) {
      const sum = crc32(target);
      await this.refresh();
      bytes = await this.read(target, fileOffset(block));
      if (crc32(target) === sum) break;
    }
    return bytes;
  }

  /** The file header as of the last commit. */
  async readFileHeader(): Promise<FileHeader> {
    const bytes = new Uint8Array(FILE_HEADER_BYTES);
    await this.read(bytes, 0);
    return FILE_HEADER.read(bytes);
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const bytes = await this.file.read(target, position);
    const { before, patches, pending } = this.#recovery;
    layPatches(patches, target.subarray(0, bytes), position);
    if (before) await this.#layImage(before, target, position);
    for (const { block, blockHead, fileHeader, oldPageHeaderCrc, oldFileHeaderCrc } of pending) {
      await this.#layHead(0, fileHeader, oldFileHeaderCrc, target, position);
      if (block !== 0) await this.#layHead(fileOffset(block), blockHead, oldPageHeaderCrc, target, position);
    }
    return bytes;
  }

  /** Takes the journal, and then each record on what the one before left. */
  async #judge(journal: Uint8Array | undefined): Promise<void> {
    const { head } = this.#recovery;
    const before = journal && decodeJournal(journal);
    const patches = journal && decodePatchJournal(journal);
    this.#recovery = { ...this.#recovery, before, patches };
    // A record may be among what is repaired.
    const records = recordsIn(layPatches(patches, head.slice(), 0));
    this.#recovery = { ...this.#recovery, records };
    for (const record of records) {
      const lastIsHome = await isHome(this, record);
      this.#recovery = { ...this.#recovery, lastRecord: record, lastIsHome };
      if (!lastIsHome && !(await judgeRecord(this, record))) continue;
      const { pending, standing } = this.#recovery;
      this.#recovery = { ...this.#recovery, standing: [...standing, record] };
      if (!lastIsHome) this.#recovery = { ...this.#recovery, pending: [...pending, record] };
    }
  }

  /**
   * Lays a header over what was read of it, unless the file has another one by now.
   * @param oldCrc - CRC-32 of the header that it replaces
   * @param from - where `target` was read from
   */
  async #layHead(position: number, bytes: Uint8Array, oldCrc: number, target: Uint8Array, from: number): Promise<void> {
    const start = Math.max(position, from);
    const end = Math.min(position + bytes.length, from + target.length);
    if (end <= start) return;
    const isWhole = end - start === bytes.length;
    const head = isWhole ? target.subarray(start - from, end - from) : new Uint8Array(bytes.length);
    if (isWhole) {
      if (crc32(head) === oldCrc) head.set(bytes);
    } else {
      // What a part of it is to be, only all of it can say.
      await this.read(head, position);
      target.set(head.subarray(start - position, end - position), start - from);
    }
  }

  async #layImage(before: BeforeImage, target: Uint8Array, from: number): Promise<void> {
    const position = fileOffset(before.block);
    const start = Math.max(position, from);
    const end = Math.min(position + BLOCK_BYTES, from + target.length);
    if (end <= start) return;
    const now = new Uint8Array(BLOCK_BYTES);
    await this.file.read(now, position);
    const state = journalState(before, now);
    const image = state === 'cut off' || state === 'before' ? before.image : now;
    target.set(image.subarray(start - position, end - position), start - from);
  }
}
