import type { DiskManager } from '../disk/disk-manager.ts';
import { PAGE_HEADER, pageFormatOf } from '../format/page-header.ts';

/** Says whether the header's entry count is ours to keep. Found out when it is first asked for. */
export class EntryCount {
  readonly #disk: DiskManager;
  #isOurs: boolean | undefined;

  constructor(disk: DiskManager) {
    this.#disk = disk;
  }

  /** A trie counts its own terms; and a count of 0 in a file with nodes means that nobody counts. */
  async isOurs(): Promise<boolean> {
    this.#isOurs ??= await this.#find();
    return this.#isOurs;
  }

  /** Nodes in a block that the entry count loses when the block is freed. */
  async nodesIn(block: number): Promise<number> {
    if (!(await this.isOurs())) return 0;
    return this.#nodeCount(block);
  }

  async #find(): Promise<boolean> {
    const { rootPointer, entryCount } = this.#disk.header;
    if (rootPointer !== 0n || entryCount !== 0n) return rootPointer === 0n;
    for (let block = 1; block < this.#disk.blockCount; block++) if ((await this.#nodeCount(block)) > 0) return false;
    return true;
  }

  async #nodeCount(block: number): Promise<number> {
    const head = new Uint8Array(PAGE_HEADER.bytes);
    await this.#disk.read(block, head);
    return pageFormatOf(head) === undefined ? 0 : PAGE_HEADER.read(head).nodeCount;
  }
}
