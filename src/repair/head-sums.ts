import { Hash64 } from '../bytes/checksum.ts';
import {
  addHash,
  addHead,
  copyHash,
  type DigestState,
  equalHash,
  subtractHash,
  subtractHead,
} from '../format/digest.ts';

/** Why a repair changes the first bytes of a block: its checksum proves what they were; a link; a new checksum. */
export type HeadChange = 'restored' | 'linked' | 'renewed';

/** In the order in which {@link HeadSums.stages} adds them up. */
const STAGES = ['found', 'restored', 'linked', 'renewed'] as const;

type Stage = (typeof STAGES)[number];

const newSums = (): Record<Stage, Hash64> => ({
  found: new Hash64(),
  restored: new Hash64(),
  linked: new Hash64(),
  renewed: new Hash64(),
});

type CoveredRange = Pick<DigestState, 'openFrom' | 'openEnd'>;

/** The sums over the first 64 bytes of all blocks, as they are and after the changes of a repair. */
export class HeadSums {
  readonly #open: CoveredRange;
  readonly #all = newSums();
  /** Of the blocks in the open range alone. */
  readonly #ofOpen = newSums();

  /** @param open - the blocks that the digest in block 0 leaves out */
  constructor({ openFrom, openEnd }: CoveredRange) {
    this.#open = { openFrom, openEnd };
  }

  add(block: number, head: Uint8Array): void {
    for (const sums of this.#sumsOf(block)) addHead(sums.found, block, head);
  }

  change(why: HeadChange, block: number, before: Uint8Array, after: Uint8Array): void {
    for (const sums of this.#sumsOf(block)) {
      subtractHead(sums[why], block, before);
      addHead(sums[why], block, after);
    }
  }

  /** Forgets changes that are not made. */
  reset(why: HeadChange): void {
    this.#all[why] = new Hash64();
    this.#ofOpen[why] = new Hash64();
  }

  /** Whether the blocks of a digest add up to its sum, at some stage of the repair. */
  prove(digest: DigestState): boolean {
    return this.#stages(digest)?.some((sum) => equalHash(sum, digest.sum)) === true;
  }

  /** The sum over the blocks of a digest after all changes; undefined if it leaves out blocks that are not known apart. */
  after(digest: CoveredRange): Hash64 | undefined {
    return this.#stages(digest)?.at(-1);
  }

  #stages({ openFrom, openEnd }: CoveredRange): Hash64[] | undefined {
    const hasOpen = openFrom < openEnd;
    if (hasOpen && (openFrom !== this.#open.openFrom || openEnd !== this.#open.openEnd)) return undefined;
    const sum = new Hash64();
    return STAGES.map((stage) => {
      addHash(sum, this.#all[stage]);
      if (hasOpen) subtractHash(sum, this.#ofOpen[stage]);
      return copyHash(sum);
    });
  }

  #sumsOf(block: number): Record<Stage, Hash64>[] {
    const isOpen = block >= this.#open.openFrom && block < this.#open.openEnd;
    return isOpen ? [this.#all, this.#ofOpen] : [this.#all];
  }
}
