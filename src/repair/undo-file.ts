import { crc32 } from '../bytes/checksum.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { PageStoreError } from '../errors.ts';
import {
  MAX_JOURNAL_PATCH_BYTES,
  type Patch,
  patchBytes,
  patchFault,
  readPatch,
  UNDO_HEADER,
  type UndoHeader,
  writePatch,
} from '../format/journal.ts';
import { BLOCK_BYTES, FILE_HEAD_BYTES, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';

const BUFFER_BYTES = 65_536;

/**
 * Identifies a repaired file by what every writer changes: the head of block 0 and page headers. Computed as if all
 * patches were applied, so it is the same before, during and after that.
 */
export class RepairedState {
  readonly #file: BlockFile;
  readonly #head: Uint8Array = new Uint8Array(FILE_HEAD_BYTES);
  readonly #blockHead: Uint8Array = new Uint8Array(PAGE_HEADER_BYTES);
  #block = 0;
  #crc = 0;

  private constructor(file: BlockFile) {
    this.#file = file;
  }

  static async read(file: BlockFile): Promise<RepairedState> {
    const state = new RepairedState(file);
    await file.read(state.#head, 0);
    return state;
  }

  /** The patches of a block must follow each other. */
  async add({ position, after }: Patch): Promise<void> {
    const [block, offset] = [Math.floor(position / BLOCK_BYTES), position % BLOCK_BYTES];
    if (block !== 0 && block !== this.#block) {
      this.#endBlock();
      this.#block = block;
      this.#blockHead.fill(0, await this.#file.read(this.#blockHead, fileOffset(block)));
    }
    const head = block === 0 ? this.#head : this.#blockHead;
    if (offset < head.length) head.set(after.subarray(0, head.length - offset), offset);
  }

  /** @returns the CRC-32 of the first 64 bytes of each patched block in order, then of the first 12,800 of block 0 */
  finish(): number {
    this.#endBlock();
    return crc32(this.#head, this.#crc);
  }

  #endBlock(): void {
    if (this.#block !== 0) this.#crc = crc32(this.#blockHead, this.#crc);
  }
}

/** Writes an undo file. The header comes last and makes the file valid. */
export class UndoWriter {
  readonly #undo: BlockFile;
  readonly #state: RepairedState;
  readonly #buffer: Uint8Array = new Uint8Array(BUFFER_BYTES);
  #filled = 0;
  #position: number = UNDO_HEADER.bytes;
  #patchCount = 0;
  #bytesCrc = 0;

  constructor(undo: BlockFile, state: RepairedState) {
    this.#undo = undo;
    this.#state = state;
  }

  async add(patch: Patch): Promise<void> {
    await this.#state.add(patch);
    if (this.#filled + patchBytes(patch) > BUFFER_BYTES) await this.#flush();
    this.#filled = writePatch(patch, this.#buffer, this.#filled);
    this.#patchCount++;
  }

  /** Resolves when the undo file is durable. @param fileBytes - of the page file */
  async finish(fileBytes: number): Promise<void> {
    await this.#flush();
    const [stateCrc, patchCount, bytesCrc] = [this.#state.finish(), this.#patchCount, this.#bytesCrc];
    await this.#undo.write(UNDO_HEADER.encode({ fileBytes: BigInt(fileBytes), stateCrc, patchCount, bytesCrc }), 0);
    await this.#undo.sync();
  }

  async #flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#filled);
    await this.#undo.write(bytes, this.#position);
    this.#bytesCrc = crc32(bytes, this.#bytesCrc);
    this.#position += this.#filled;
    this.#filled = 0;
  }
}

export async function readUndoHeader(undo: BlockFile): Promise<UndoHeader> {
  const head = new Uint8Array(UNDO_HEADER.bytes);
  await undo.read(head, 0);
  const header = UNDO_HEADER.decode(head);
  if (header === undefined) {
    const message = 'this is not an undo file, or an incomplete one; in that case the repair changed nothing';
    throw new PageStoreError('NOT_AN_UNDO_FILE', message, { file: undo.name });
  }
  const damaged = 'the undo file is damaged: its checksum does not match, so nothing was undone';
  for await (const patch of patchesIn(undo, header, damaged)) void patch;
  return header;
}

/**
 * The patches in order, one journal per batch. Block 0 and all after it are one batch: header, copy and records have to
 * change together. A batch is valid until the next one.
 * @throws {@link PageStoreError} `NOT_AN_UNDO_FILE` instead of the last batch if the file has changed; `IO`
 */
export async function* undoBatches(undo: BlockFile, header: UndoHeader): AsyncGenerator<readonly Patch[]> {
  let [batch, batchBytes, isLast]: [Patch[], number, boolean] = [[], 0, false];
  const changed = 'the undo file changed while it was read; run the repair again';
  for await (const patch of patchesIn(undo, header, changed)) {
    const beginsLast: boolean = !isLast && patch.position < BLOCK_BYTES;
    if (batch.length > 0 && (beginsLast || batchBytes + patchBytes(patch) > MAX_JOURNAL_PATCH_BYTES)) {
      yield batch;
      [batch, batchBytes] = [[], 0];
    }
    isLast ||= beginsLast;
    batch.push({ ...patch, before: patch.before.slice(), after: patch.after.slice() });
    batchBytes += patchBytes(patch);
  }
  if (batch.length > 0) yield batch;
}

/**
 * Yields each patch as a view, valid until the next one. @throws {@link PageStoreError} `NOT_AN_UNDO_FILE` with
 * `message`
 */
async function* patchesIn(undo: BlockFile, header: UndoHeader, message: string): AsyncGenerator<Patch> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  let [position, count, crc]: [number, number, number] = [UNDO_HEADER.bytes, 0, 0];
  for (;;) {
    const bytes = buffer.subarray(0, await undo.read(buffer, position));
    let offset = 0;
    for (;;) {
      const patch = readPatch(bytes, offset);
      if (patch === undefined || patchFault([patch], Number(header.fileBytes)) !== undefined) break;
      yield patch;
      offset += patchBytes(patch);
      count++;
    }
    if (offset === 0) {
      if (bytes.length === 0 && count === header.patchCount && crc === header.bytesCrc) return;
      throw new PageStoreError('NOT_AN_UNDO_FILE', message, { file: undo.name });
    }
    crc = crc32(bytes.subarray(0, offset), crc);
    position += offset;
  }
}
