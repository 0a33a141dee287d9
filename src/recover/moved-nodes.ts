import type { PageFormat } from '../format/page-header.ts';
import type { PageFileBuilder } from '../store/page-file-builder.ts';
import type { MovedRun } from './recovery-report.ts';

/** Writes nodes that have lost their refs into pages behind all others, and tells which went where. */
export class MovedNodes {
  readonly #builder: PageFileBuilder;
  readonly #tell: (run: MovedRun) => void | Promise<void>;
  #firstBlock: number;
  #format: PageFormat | undefined;
  #run: { block: number; slot: number; newBlock: number; newSlot: number; count: number } | undefined;

  /** @param firstBlock - where the first of these pages goes */
  constructor(builder: PageFileBuilder, firstBlock: number, tell: (run: MovedRun) => void | Promise<void>) {
    this.#builder = builder;
    this.#firstBlock = firstBlock;
    this.#tell = tell;
  }

  /** Adds the node `bytes[start, start + nodeBytes)`, which an empty page of this format holds. */
  async add(
    block: number,
    slot: number,
    format: PageFormat,
    bytes: Uint8Array,
    start: number,
    nodeBytes: number,
  ): Promise<void> {
    if (this.#format !== format || !this.#builder.add(bytes, start, start + nodeBytes)) {
      await this.#endPage();
      await this.#builder.beginPage(format, Math.max(this.#firstBlock, this.#builder.block));
      this.#format = format;
      this.#builder.add(bytes, start, start + nodeBytes);
    }
    const [newBlock, newSlot] = [this.#builder.block, this.#builder.slotCount - 1];
    const run = this.#run;
    const goesOn = run?.block === block && run.slot + run.count === slot && run.newBlock === newBlock;
    if (run && goesOn) {
      run.count++;
    } else {
      await this.#endRun();
      this.#run = { block, slot, newBlock, newSlot, count: 1 };
    }
  }

  async end(): Promise<void> {
    await this.#endRun();
    await this.#endPage();
  }

  async #endRun(): Promise<void> {
    if (this.#run) await this.#tell(this.#run);
    this.#run = undefined;
  }

  async #endPage(): Promise<void> {
    if (this.#format !== undefined) await this.#builder.endPage(false);
    this.#format = undefined;
  }
}
