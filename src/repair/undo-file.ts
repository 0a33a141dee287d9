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
  UNDO_HEADER,
  writePatch,
} from '../format/journal.ts';
import { BLOCK_BYTES } from '../format/layout.ts';

const BUFFER_BYTES = 65_536;

/** Writes patches to an undo file, which is valid once its header is written, at the end. */
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
   * Resolves when the undo file is durable.
   * @param fileBytes - size of the page file
   * @param stateCrc - the checksum that identifies the repaired page file
   */
  async finish(fileBytes: number, stateCrc: number): Promise<void> {
    await this.#flush();
    const header = { fileBytes: BigInt(fileBytes), stateCrc, patchCount: this.#patchCount, bytesCrc: this.#bytesCrc };
    await this.#file.write(UNDO_HEADER.encode(header), 0);
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

/** An undo file with a valid checksum. */
export interface UndoFile {
  /** Size of the page file that it belongs to. */
  readonly fileBytes: number;
  /** The checksum that identifies the repaired page file. */
  readonly stateCrc: number;
  readonly patchCount: number;
  /**
   * The patches in order, as many at once as a journal can contain. Those of block 0 are in the last batch with all after
   * them, since header, copy and records have to change together. A batch is valid until the next one.
   */
  readonly batches: () => AsyncGenerator<readonly Patch[]>;
}

/** @throws {@link PageStoreError} `NOT_AN_UNDO_FILE`, `IO` */
export async function openUndoFile(file: BlockFile): Promise<UndoFile> {
  const head = new Uint8Array(UNDO_HEADER.bytes);
  await file.read(head, 0);
  const header = UNDO_HEADER.decode(head);
  if (header === undefined) {
    const message = 'this is not an undo file, or an incomplete one; in that case the repair changed nothing';
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
    const message = 'the undo file is damaged: its checksum does not match, so nothing was undone';
    throw new PageStoreError('NOT_AN_UNDO_FILE', message, { file: file.name });
  }
  return { fileBytes, stateCrc, patchCount, batches: () => batchesOf(file, patchCount) };
}

const scratch = new Uint8Array(PATCH_HEADER.bytes + 2 * MAX_PATCH_BYTES);

function crcOf(patch: Patch, seed: number): number {
  return crc32(scratch.subarray(0, writePatch(patch, scratch, 0)), seed);
}

/** @throws {@link PageStoreError} `NOT_AN_UNDO_FILE` instead of the last batch if the file has fewer patches than at first */
async function* batchesOf(file: BlockFile, patchCount: number): AsyncGenerator<readonly Patch[]> {
  let count = 0;
  let batch: Patch[] = [];
  let batchBytes = 0;
  let isLast = false;
  for await (const patch of patchesIn(file)) {
    if (patch === undefined) break;
    count++;
    const endsBatch =
      batchBytes + patchBytes(patch) > MAX_JOURNAL_PATCH_BYTES || (patch.position < BLOCK_BYTES && !isLast);
    if (endsBatch && batch.length > 0) {
      yield batch;
      [batch, batchBytes] = [[], 0];
    }
    isLast ||= patch.position < BLOCK_BYTES;
    batch.push({ ...patch, before: patch.before.slice(), after: patch.after.slice() });
    batchBytes += patchBytes(patch);
  }
  if (count !== patchCount) {
    const message = `the undo file changed while it was read: ${count} of its ${patchCount} patches are left; run the repair again`;
    throw new PageStoreError('NOT_AN_UNDO_FILE', message, { file: file.name });
  }
  if (batch.length > 0) yield batch;
}

/** Each patch of the file: a view, valid until the next one; undefined, once, where the file is damaged. */
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
