import { crc32 } from '../bytes/checksum.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { PageStoreError } from '../errors.ts';
import {
  MAX_JOURNAL_PATCH_BYTES,
  MAX_PATCH_BYTES,
  type Patch,
  PATCH_HEADER,
  patchBytes,
  readPatch,
  writePatch,
} from '../format/journal.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import { decodeUndoHeader, encodeUndoHeader, UNDO_HEADER } from '../format/journal.ts';

const BUFFER_BYTES = 65_536;

/** Writes patches to an undo file, which is whole once its header is written, at the end. */
export class UndoWriter {
  readonly #file: BlockFile;
  readonly #buffer: Uint8Array = new Uint8Array(BUFFER_BYTES);
  #filled = 0;
  #position: number = UNDO_HEADER.bytes;
  #patchCount = 0;
  #bytesCrc = 0;

  /** @param file - an empty one */
  constructor(file: BlockFile) {
    this.#file = file;
  }

  get patchCount(): number {
    return this.#patchCount;
  }

  async add(patch: Patch): Promise<void> {
    if (this.#filled + patchBytes(patch) > BUFFER_BYTES) await this.#flush();
    this.#filled = writePatch(patch, this.#buffer, this.#filled);
    this.#patchCount++;
  }

  /**
   * Resolves when the undo file is on the device.
   * @param fileBytes - size of the page file
   * @param stateCrc - see {@link RepairedState}
   */
  async finish(fileBytes: number, stateCrc: number): Promise<void> {
    await this.#flush();
    const header = { fileBytes: BigInt(fileBytes), stateCrc, patchCount: this.#patchCount, bytesCrc: this.#bytesCrc };
    await this.#file.write(encodeUndoHeader(header), 0);
    await this.#file.sync();
  }

  async #flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#filled);
    await this.#file.write(bytes, this.#position);
    this.#bytesCrc = crc32(bytes, this.#bytesCrc);
    this.#position += this.#filled;
    this.#filled = 0;
  }
}

/** An undo file whose checksum holds. */
export interface UndoFile {
  /** Size of the page file that it was made for. */
  readonly fileBytes: number;
  /** What a {@link RepairedState} of the page file comes to. */
  readonly stateCrc: number;
  readonly patchCount: number;
  /**
   * The patches in their order, as many at once as a journal takes; those of block 0 with all behind them in the last
   * lot, since header, copy and records have to change together. Valid until the next lot.
   */
  readonly lots: () => AsyncGenerator<readonly Patch[]>;
}

/** @throws {@link PageStoreError} `NOT_AN_UNDO_FILE`, `IO` */
export async function openUndoFile(file: BlockFile): Promise<UndoFile> {
  const head = new Uint8Array(UNDO_HEADER.bytes);
  await file.read(head, 0);
  const header = decodeUndoHeader(head);
  if (header === undefined) {
    const message = 'this is no undo file, or one that was not written to its end; then the repair has not begun';
    throw new PageStoreError('NOT_AN_UNDO_FILE', message, { file: file.name });
  }
  const { stateCrc, patchCount, bytesCrc } = header;
  const fileBytes = Number(header.fileBytes);
  let [count, sum] = [0, 0];
  for await (const patch of patchesIn(file)) {
    if (patch === undefined || patch.position + patch.after.length > fileBytes) {
      count = -1;
      break;
    }
    sum = crcOf(patch, sum);
    count++;
  }
  if (count !== patchCount || sum !== bytesCrc) {
    const message = 'the undo file is damaged: its checksum does not hold, so nothing is taken back';
    throw new PageStoreError('NOT_AN_UNDO_FILE', message, { file: file.name });
  }
  return { fileBytes, stateCrc, patchCount, lots: () => lotsOf(file, patchCount) };
}

const scratch = new Uint8Array(PATCH_HEADER.bytes + 2 * MAX_PATCH_BYTES);

function crcOf(patch: Patch, seed: number): number {
  return crc32(scratch.subarray(0, writePatch(patch, scratch, 0)), seed);
}

/** @throws {@link PageStoreError} `NOT_AN_UNDO_FILE` instead of the last lot where the file does not give as many patches as it did at first */
async function* lotsOf(file: BlockFile, patchCount: number): AsyncGenerator<readonly Patch[]> {
  let count = 0;
  let lot: Patch[] = [];
  let lotBytes = 0;
  let isLast = false;
  for await (const patch of patchesIn(file)) {
    if (patch === undefined) break;
    count++;
    const endsLot = lotBytes + patchBytes(patch) > MAX_JOURNAL_PATCH_BYTES || (patch.position < BLOCK_BYTES && !isLast);
    if (endsLot && lot.length > 0) {
      yield lot;
      [lot, lotBytes] = [[], 0];
    }
    isLast ||= patch.position < BLOCK_BYTES;
    lot.push({ ...patch, before: patch.before.slice(), after: patch.after.slice() });
    lotBytes += patchBytes(patch);
  }
  if (count !== patchCount) {
    const message = `the undo file has changed while it was read: ${count} of its ${patchCount} patches are left; a repair has to run again`;
    throw new PageStoreError('NOT_AN_UNDO_FILE', message, { file: file.name });
  }
  if (lot.length > 0) yield lot;
}

/** Each patch of the file: a view, valid until the next one; undefined, once, where what follows is none. */
async function* patchesIn(file: BlockFile): AsyncGenerator<Patch | undefined> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  let position: number = UNDO_HEADER.bytes;
  for (;;) {
    const bytes = buffer.subarray(0, await file.read(buffer, position));
    if (bytes.length === 0) return;
    let offset = 0;
    for (;;) {
      const patch = readPatch(bytes, offset);
      if (patch === undefined) break;
      yield patch;
      offset += patchBytes(patch);
    }
    if (offset === 0) {
      yield undefined;
      return;
    }
    position += offset;
  }
}
