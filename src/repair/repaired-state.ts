import { crc32 } from '../bytes/checksum.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { BLOCK_BYTES, FILE_HEAD_BYTES, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import type { Patch } from '../format/patch.ts';

/**
 * Knows a file again by what changes with whatever a writer does to it: the head of block 0 with every commit, the header
 * of a page with every update. They are summed up as they are with all patches made, so the sum is the same before, while
 * and after the patches are.
 */
export class RepairedState {
  readonly #file: BlockFile;
  readonly #head: Uint8Array = new Uint8Array(FILE_HEAD_BYTES);
  readonly #blockHead: Uint8Array = new Uint8Array(PAGE_HEADER_BYTES);
  #block = 0;
  #sum = 0;

  private constructor(file: BlockFile) {
    this.#file = file;
  }

  static async of(file: BlockFile): Promise<RepairedState> {
    const state = new RepairedState(file);
    await file.read(state.#head, 0);
    return state;
  }

  /** @param patch - the next one; those of a block come one after the other */
  async add({ position, after }: Patch): Promise<void> {
    const block = Math.floor(position / BLOCK_BYTES);
    if (block === 0) return lay(this.#head, position, after);
    if (block !== this.#block) {
      this.#endBlock();
      this.#block = block;
      this.#blockHead.fill(0, await this.#file.read(this.#blockHead, fileOffset(block)));
    }
    lay(this.#blockHead, position - fileOffset(block), after);
  }

  /**
   * Ends the sum: CRC-32 of the first 64 bytes of each block behind block 0 that has patches, in the order of these, and then
   * of the first 12,800 bytes of the file.
   */
  finish(): number {
    this.#endBlock();
    return crc32(this.#head, this.#sum);
  }

  #endBlock(): void {
    if (this.#block !== 0) this.#sum = crc32(this.#blockHead, this.#sum);
    this.#block = 0;
  }
}

function lay(target: Uint8Array, at: number, bytes: Uint8Array): void {
  if (at < target.length) target.set(bytes.subarray(0, target.length - at), at);
}
