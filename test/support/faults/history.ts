import { ByteNodeArenaV1, ByteNodeArenaV2 } from '../../../src/format.ts';
import { create, open, type PageFormat, type PageStore, type RefRun } from '../../../src/index.ts';
import { random as newRandom } from '../nodes.ts';
import { BlocksFile, type State } from './blocks-file.ts';

/** The acknowledged nodes: for each page its nodes by slot. Free blocks are not among them. */
export type Contents = ReadonlyMap<number, readonly Uint8Array[]>;

/** A file, how it came to be, and what it has to contain. */
export interface History {
  readonly format: PageFormat;
  readonly seed: number;
  /** The file at each sync and after each action, from the oldest on; the last one is the file as it is. */
  readonly states: readonly State[];
  /**
   * The states from one sync to the next, both included, up to that which made the last change durable. A power cut in
   * one of them may have left each sector as in any of its states, and before the last change was acknowledged.
   */
  readonly windows: readonly (readonly State[])[];
  /** The later ones: after a power cut in one of them, the commit records have everything. */
  readonly lastWindows: readonly (readonly State[])[];
  readonly final: State;
  readonly contents: Contents;
  /** The actions, for messages. */
  readonly script: readonly string[];
}

/**
 * Makes a file of 5 to 10 blocks with random actions in several sessions. The same seed makes the same file.
 * @param isKilled - whether the last session ends before its last change is checkpointed: then it is only in a commit record
 */
export async function makeHistory(format: PageFormat, seed: number, isKilled: boolean): Promise<History> {
  const maker = new HistoryMaker(format, seed);
  await maker.run();
  return maker.history(isKilled);
}

const [FEWEST_BLOCKS, MOST_BLOCKS] = [5, 8];

class HistoryMaker {
  readonly #format: PageFormat;
  readonly #seed: number;
  readonly #random: () => number;
  readonly #states: State[] = [];
  readonly #contents = new Map<number, Uint8Array[]>();
  readonly #script: string[] = [];
  readonly #windows: State[][] = [[]];
  /** Windows that began before the last change was durable. */
  #unfinished = 0;
  readonly #file = new BlocksFile(undefined, (state) => this.#synced(state));
  #store: PageStore | undefined;
  #nodesMade = 0;

  constructor(format: PageFormat, seed: number) {
    this.#format = format;
    this.#seed = seed;
    this.#random = newRandom(seed);
  }

  async run(): Promise<void> {
    this.#store = await create(this.#file, { pageFormat: this.#format });
    this.#contents.set(1, []);
    const actions = 10 + this.#below(14);
    for (let action = 0; action < actions || this.#blocks < FEWEST_BLOCKS; action++) {
      await this.#act();
      this.#keep(this.#file.state());
    }
    await this.#store.close();
    this.#keep(this.#file.state());
  }

  #keep(state: State): void {
    this.#states.push(state);
    this.#windows.at(-1)!.push(state);
  }

  #synced(state: State): void {
    this.#keep(state);
    this.#windows.push([state]);
  }

  /** Ends an action that has changed the contents. */
  #changed(what: string): void {
    this.#unfinished = this.#windows.length - 1;
    this.#script.push(what);
  }

  history(isKilled: boolean): History {
    const [format, seed, contents, script] = [this.#format, this.#seed, this.#contents, this.#script];
    const windows = this.#windows.slice(0, this.#unfinished);
    const killed = this.#windows[this.#unfinished]?.[0];
    if (killed !== undefined && isKilled) {
      script.push('killed when the last change was durable');
      const states = this.#states.slice(0, this.#states.indexOf(killed) + 1);
      return { format, seed, states, final: killed, windows, lastWindows: [[killed]], contents, script };
    }
    const lastWindows = this.#windows.slice(this.#unfinished);
    return { format, seed, states: this.#states, final: this.#states.at(-1)!, windows, lastWindows, contents, script };
  }

  get #blocks(): number {
    return this.#open.blockCount;
  }

  get #open(): PageStore {
    return this.#store!;
  }

  async #act(): Promise<void> {
    const mayGrow = this.#blocks < MOST_BLOCKS;
    const dice = this.#below(24);
    if (dice < 7) await this.#append(1 + this.#below(5), 6, 64);
    else if (dice < 9) await this.#append(8 + this.#below(30), 6, 12);
    else if (dice < 10) await this.#append(1, 2_000, 60_000);
    else if (dice < 11 && mayGrow) await this.#append(2 + this.#below(2), 60_000, 200_000);
    else if (dice < 13 && mayGrow) await this.#allocate(1 + this.#below(2));
    else if (dice < 15 && mayGrow) await this.#addPage();
    else if (dice < 18) await this.#free();
    else if (dice < 20) await this.#update();
    else if (dice < 21) await this.#finalize([...this.#contents.keys()]);
    else if (dice < 22) await this.#finalize(this.#anyPage());
    else await this.#reopen();
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** Nodes that are all different, and differ from those of other files. */
  #nodes(count: number, shortest: number, longest: number): Uint8Array[] {
    return Array.from({ length: count }, () => {
      const length = shortest + this.#below(longest - shortest + 1);
      const node = Buffer.alloc(length, `${this.#nodesMade}.`);
      node.writeUInt32BE(this.#seed >>> 0);
      node.writeUInt16BE(++this.#nodesMade, 4);
      return node;
    });
  }

  async #append(count: number, shortest: number, longest: number): Promise<void> {
    const nodes = this.#nodes(count, shortest, longest);
    const runs: RefRun[] = await this.#open.appendMany(nodes);
    let next = 0;
    for (const { block, slot, count } of runs) {
      const page = this.#contents.get(block) ?? [];
      this.#contents.set(block, page);
      for (let each = slot; each < slot + count; each++) page[each] = nodes[next++]!;
    }
    const bytes = nodes.reduce((sum, node) => sum + node.length, 0);
    this.#changed(
      `append ${count} nodes, ${bytes} bytes, to ${[...new Set(runs.map(({ block }) => block))].join(' and ')}`,
    );
  }

  async #addPage(): Promise<void> {
    const page = this.#format === 'v1' ? new ByteNodeArenaV1() : new ByteNodeArenaV2();
    const nodes = this.#nodes(1 + this.#below(20), 6, 100);
    for (const node of nodes) page.allocate(node);
    const isFinalized = this.#below(3) === 0;
    if (isFinalized) page.finalize();
    const block = await this.#open.addPage(page);
    this.#contents.set(block, nodes);
    this.#changed(`addPage ${block} with ${nodes.length} nodes${isFinalized ? ', finalized' : ''}`);
  }

  async #allocate(count: number): Promise<void> {
    const blocks = await this.#open.allocate(count, this.#format);
    for (const block of blocks) this.#contents.set(block, []);
    this.#changed(`allocate ${blocks.join(' and ')}`);
  }

  async #free(): Promise<void> {
    const [block] = this.#anyPage();
    if (block === undefined) return;
    await this.#open.free(block);
    this.#contents.delete(block);
    this.#changed(`free ${block}`);
  }

  async #update(): Promise<void> {
    const [block] = this.#anyPage();
    const nodes = block === undefined ? [] : this.#contents.get(block)!;
    if (block === undefined || nodes.length === 0) return;
    const slot = this.#below(nodes.length);
    const { length } = nodes[slot]!;
    const [node] = this.#nodes(1, length, length);
    await this.#open.update({ block, slot }, node!);
    nodes[slot] = node!;
    this.#changed(`update ${block}:${slot}`);
  }

  async #finalize(blocks: readonly number[]): Promise<void> {
    await this.#open.finalize({ blocks });
    this.#script.push(`finalize ${blocks.join(' and ')}`);
  }

  async #reopen(): Promise<void> {
    await this.#open.close();
    this.#keep(this.#file.state());
    this.#store = await open(this.#file, { pageFormat: this.#format });
    this.#script.push('close, open');
  }

  /** One page, or none. */
  #anyPage(): number[] {
    const pages = [...this.#contents.keys()];
    return pages.slice(this.#below(pages.length)).slice(0, 1);
  }
}
