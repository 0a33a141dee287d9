import { crc32 } from 'node:zlib';

/** What a state holds: the nodes of each page, in the order of their slots, each as text. */
export type Contents = Map<number, string[]>;

/** What was under way when the power went. */
export type Action =
  | { readonly kind: 'append' | 'addPage'; readonly nodes: readonly Uint8Array[] }
  | { readonly kind: 'free'; readonly block: number }
  | { readonly kind: 'update'; readonly block: number; readonly slot: number; readonly node: Uint8Array }
  | { readonly kind: 'allocate' | 'finalize' | 'nothing' };

/** A short text for a node, different for nodes that differ: all of it, or its beginning, length and sum. */
export function textOf(node: Uint8Array): string {
  const start = Buffer.from(node.buffer, node.byteOffset, Math.min(node.length, 64)).toString('latin1');
  return node.length <= 64 ? start : `${start} ${node.length} ${crc32(node)}`;
}

/** Knows what was acknowledged, and so what a state has to hold and what it may hold. */
export class Oracle {
  contents: Contents = new Map();
  /** Grows with each acknowledgement. */
  version = 0;
  underWay: Action = { kind: 'nothing' };
  /** An action whose sync failed: it may yet turn out to have been done, until something else is acknowledged. */
  #failed: Action | undefined;

  constructor(contents: Contents = new Map()) {
    for (const [block, nodes] of contents) this.contents.set(block, nodes.slice());
  }

  acknowledge(change: (contents: Contents) => void): void {
    change(this.contents);
    this.version++;
    this.underWay = { kind: 'nothing' };
    this.#failed = undefined;
  }

  /** The action under way has failed: this is what was found afterwards, and the action may yet turn out to have been done. */
  fail(found: Contents): void {
    this.contents = found;
    this.#failed = this.underWay;
    this.version++;
  }

  /** What is wrong with a state, or undefined. */
  judge(found: Contents): string | undefined {
    const wrong = this.#judgeWith(found);
    if (wrong === undefined || this.#failed === undefined) return wrong;
    const { underWay } = this;
    this.underWay = this.#failed;
    const wrongAfterFailure = this.#judgeWith(found);
    this.underWay = underWay;
    return wrongAfterFailure && wrong;
  }

  #judgeWith(found: Contents): string | undefined {
    const extra: string[][] = [];
    for (const [block, nodes] of this.contents) {
      const there = found.get(block);
      const freed = this.underWay.kind === 'free' && this.underWay.block === block;
      if (there === undefined) {
        if (freed) continue;
        return `page ${block} is lost, with ${nodes.length} acknowledged nodes`;
      }
      for (const [slot, node] of nodes.entries()) {
        if (there[slot] === node || this.isUpdated(block, slot, there[slot])) continue;
        return `node ${block}:${slot} is ${there[slot] === undefined ? 'lost' : 'not what was acknowledged'}`;
      }
      extra.push(there.slice(nodes.length));
    }
    for (const [block, nodes] of found) {
      if (this.contents.has(block)) continue;
      if (!['append', 'allocate', 'addPage'].includes(this.underWay.kind)) return `page ${block} came from nowhere`;
      extra.push(nodes);
    }
    return this.#judgeExtra(extra);
  }

  /** Whether a node is what an update under way would make of it. */
  isUpdated(block: number, slot: number, node: string | undefined): boolean {
    const { underWay } = this;
    if (underWay.kind !== 'update' || underWay.block !== block || underWay.slot !== slot) return false;
    return node === textOf(underWay.node);
  }

  /** Nodes that nobody was told of are a gapless prefix of the batch under way, in its order. @param extra - page by page */
  #judgeExtra(extra: readonly (readonly string[])[]): string | undefined {
    const count = extra.reduce((sum, nodes) => sum + nodes.length, 0);
    if (count === 0) return undefined;
    if (this.underWay.kind === 'addPage') {
      // It is the one page that was added, or not there at all.
      const [page, ...others] = extra.filter((nodes) => nodes.length > 0);
      const nodes = this.underWay.nodes.map(textOf);
      const isWhole = page?.length === nodes.length && page.every((node, slot) => node === nodes[slot]);
      return isWhole && others.length === 0 ? undefined : `of the page that was added there are ${count} nodes`;
    }
    if (this.underWay.kind !== 'append') return `${count} nodes came from nowhere`;
    const batch = new Map(this.underWay.nodes.map((node, index) => [textOf(node), index]));
    const indexes = extra.map((nodes) => nodes.map((node) => batch.get(node) ?? -1));
    const inOrder = indexes.every((page) => page.every((each, slot) => slot === 0 || each > (page[slot - 1] ?? 0)));
    const sorted = indexes.flat().toSorted((a, b) => a - b);
    if (inOrder && sorted.every((each, index) => each === index)) return undefined;
    return `of the batch under way there are nodes ${sorted.slice(0, 9).join(', ')}`;
  }
}
