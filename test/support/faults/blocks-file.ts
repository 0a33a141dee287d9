import type { BlockFile, Journal } from '../../../src/testing.ts';
import { MemoryJournal } from '../../../src/testing.ts';

export const BLOCK = 262_144;

/** The content of a file at one time. Its blocks are shared with other states, so nobody writes to them. */
export interface State {
  readonly blocks: readonly Uint8Array[];
  readonly size: number;
}

/** A file in memory whose states are cheap: each keeps only the blocks that have changed since the one before. */
export class BlocksFile implements BlockFile {
  readonly name = 'memory';
  readonly journal: Journal = new MemoryJournal();
  #blocks: Uint8Array[];
  #isOwn: boolean[] = [];
  #size: number;
  readonly #onSync: ((state: State) => void) | undefined;

  /** @param onSync - gets the state at each sync */
  constructor({ blocks, size }: State = { blocks: [], size: 0 }, onSync?: (state: State) => void) {
    this.#blocks = blocks.slice();
    this.#size = size;
    this.#onSync = onSync;
  }

  /** The content now; later writes do not change it. */
  state(): State {
    this.#isOwn = [];
    return { blocks: this.#blocks.slice(), size: this.#size };
  }

  async size(): Promise<number> {
    return this.#size;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const bytes = Math.max(0, Math.min(target.length, this.#size - position));
    for (let done = 0; done < bytes;) {
      const [index, from] = [Math.floor((position + done) / BLOCK), (position + done) % BLOCK];
      const length = Math.min(BLOCK - from, bytes - done);
      target.set(this.#blocks[index]!.subarray(from, from + length), done);
      done += length;
    }
    return bytes;
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    this.#resize(Math.max(this.#size, position + source.length));
    for (let done = 0; done < source.length;) {
      const [index, from] = [Math.floor((position + done) / BLOCK), (position + done) % BLOCK];
      const length = Math.min(BLOCK - from, source.length - done);
      this.#own(index).set(source.subarray(done, done + length), from);
      done += length;
    }
  }

  async truncate(bytes: number): Promise<void> {
    this.#resize(bytes);
  }

  async sync(): Promise<void> {
    this.#onSync?.(this.state());
  }

  async close(): Promise<void> {}

  #own(index: number): Uint8Array {
    if (this.#isOwn[index] === true) return this.#blocks[index]!;
    this.#isOwn[index] = true;
    return (this.#blocks[index] = this.#blocks[index]!.slice());
  }

  #resize(bytes: number): void {
    const count = Math.ceil(bytes / BLOCK);
    this.#blocks.length = Math.min(this.#blocks.length, count);
    this.#isOwn.length = Math.min(this.#isOwn.length, count);
    while (this.#blocks.length < count) this.#blocks.push(ZEROS);
    if (bytes < this.#size && bytes % BLOCK > 0) this.#own(count - 1).fill(0, bytes % BLOCK);
    this.#size = bytes;
  }
}

const ZEROS = new Uint8Array(BLOCK);

/** A state with other bytes in one block, from `offset` on. */
export function withBytes({ blocks, size }: State, block: number, offset: number, bytes: Uint8Array): State {
  const changed = blocks.slice();
  const copy = blocks[block]!.slice();
  copy.set(bytes, offset);
  changed[block] = copy;
  return { blocks: changed, size };
}

/** A state with another block in the place of one. */
export function withBlock({ blocks, size }: State, block: number, bytes: Uint8Array): State {
  const changed = blocks.slice();
  changed[block] = bytes;
  return { blocks: changed, size };
}

export function isSameState(a: State, b: State): boolean {
  if (a.size !== b.size) return false;
  return a.blocks.every((bytes, block) => isSameBytes(bytes, b.blocks[block]!));
}

export const isSameBytes = (a: Uint8Array, b: Uint8Array): boolean => a === b || Buffer.compare(a, b) === 0;
