import { ByteNodeArenaV1, ByteNodeArenaV2 } from '../../../src/format/byte-node-arena.ts';
import type { PageFormat } from '../../../src/format/page-header.ts';
import type { RefRun } from '../../../src/store/page-ref.ts';
import type { PageStore } from '../../../src/store/page-store.ts';
import { type Oracle, textOf } from './oracle.ts';

let nodesMade = 0;

/** An action of a script that is written down. */
export type ScriptAction = 'append' | 'free' | 'addPage';

/** Does one thing after the other to a store, and tells the oracle what is under way and what was acknowledged. */
export class ScriptRunner {
  #store: PageStore;
  readonly #oracle: Oracle;
  readonly #random: () => number;
  readonly #pageFormat: PageFormat;

  constructor(store: PageStore, oracle: Oracle, random: () => number, pageFormat: PageFormat) {
    this.#store = store;
    this.#oracle = oracle;
    this.#random = random;
    this.#pageFormat = pageFormat;
  }

  get store(): PageStore {
    return this.#store;
  }

  /** Goes on in another store of the same disk. */
  continueIn(store: PageStore): void {
    this.#store = store;
  }

  /** @param action - default: one at random */
  async act(action?: ScriptAction): Promise<void> {
    if (action === 'append') return this.#append(this.#nodes(1 + this.#below(12), 6, 600));
    if (action === 'free') return this.#free();
    if (action === 'addPage') return this.#addPage();
    const blocks = this.#oracle.contents.size;
    const dice = this.#below(21);
    if (dice < 4) await this.#append(this.#nodes(1, 6, 64));
    else if (dice < 7) await this.#append(this.#nodes(1 + this.#below(12), 6, 600));
    else if (dice < 9) await this.#append(this.#nodes(100 + this.#below(200), 6, 9));
    else if (dice < 10) await this.#append(this.#nodes(1, 60_000, 200_000));
    else if (dice < 12 && blocks < 5) await this.#append(this.#nodes(2 + this.#below(3), 100_000, 200_000));
    else if (dice < 13 && blocks < 5) await this.#allocate(1 + this.#below(2));
    else if (dice < 15) await this.#free();
    else if (dice < 18) await this.#update();
    else if (dice < 19) await this.#finalize();
    else if (dice < 20) await this.#appendTogether();
    else await this.#addPage();
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** Nodes that are all different, with lengths between the two bounds. */
  #nodes(count: number, shortest: number, longest: number): Uint8Array[] {
    return Array.from({ length: count }, () => {
      const length = shortest + this.#below(longest - shortest + 1);
      const node = Buffer.alloc(length, `${nodesMade}.`);
      node.writeUIntBE(++nodesMade, 0, 6);
      return node;
    });
  }

  async #append(nodes: readonly Uint8Array[]): Promise<void> {
    this.#oracle.underWay = { kind: 'append', nodes };
    this.#acknowledge(await this.#store.appendMany(nodes), nodes);
  }

  async #appendTogether(): Promise<void> {
    const nodes = this.#nodes(3, 6, 64);
    this.#oracle.underWay = { kind: 'append', nodes };
    const refs = await Promise.all(nodes.map((node) => this.#store.append(node)));
    this.#acknowledge(
      refs.map(({ block, slot }) => ({ block, slot, count: 1 })),
      nodes,
    );
  }

  #acknowledge(runs: readonly RefRun[], nodes: readonly Uint8Array[]): void {
    this.#oracle.acknowledge((contents) => {
      let next = 0;
      for (const { block, slot, count } of runs) {
        const page = contents.get(block) ?? [];
        contents.set(block, page);
        for (let each = slot; each < slot + count; each++) page[each] = textOf(nodes[next++]!);
      }
    });
  }

  /** Adds a page that was filled in memory, now and then a finalized one. */
  async #addPage(): Promise<void> {
    const page = this.#pageFormat === 'v1' ? new ByteNodeArenaV1() : new ByteNodeArenaV2();
    const nodes = this.#nodes(1 + this.#below(60), 6, 600);
    for (const node of nodes) page.allocate(node);
    if (this.#random() * 3 < 1) page.finalize();
    this.#oracle.underWay = { kind: 'addPage', nodes };
    const block = await this.#store.addPage(page);
    this.#oracle.acknowledge((contents) => void contents.set(block, nodes.map(textOf)));
  }

  async #allocate(count: number): Promise<void> {
    this.#oracle.underWay = { kind: 'allocate' };
    const blocks = await this.#store.allocate(count, this.#pageFormat);
    this.#oracle.acknowledge((contents) => {
      for (const block of blocks) contents.set(block, []);
    });
  }

  async #free(): Promise<void> {
    const block = this.#anyBlock();
    if (block === undefined) return;
    this.#oracle.underWay = { kind: 'free', block };
    await this.#store.free(block);
    this.#oracle.acknowledge((contents) => void contents.delete(block));
  }

  async #update(): Promise<void> {
    const block = this.#anyBlock();
    const nodes = block === undefined ? [] : (this.#oracle.contents.get(block) ?? []);
    if (block === undefined || nodes.length === 0) return;
    const slot = this.#below(nodes.length);
    const { length } = await this.#store.read({ block, slot });
    const [node] = this.#nodes(1, length, length);
    this.#oracle.underWay = { kind: 'update', block, slot, node: node! };
    await this.#store.update({ block, slot }, node!);
    this.#oracle.acknowledge((contents) => {
      contents.get(block)![slot] = textOf(node!);
    });
  }

  async #finalize(): Promise<void> {
    const block = this.#anyBlock();
    if (block === undefined) return;
    this.#oracle.underWay = { kind: 'finalize' };
    await this.#store.finalize({ blocks: [block] });
    this.#oracle.acknowledge(() => {});
  }

  #anyBlock(): number | undefined {
    return [...this.#oracle.contents.keys()][this.#below(this.#oracle.contents.size)];
  }
}
