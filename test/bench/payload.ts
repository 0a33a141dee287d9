import { random } from '../support/nodes.ts';

export const NODE_BYTES = 64;

/** Nodes number `first` to `first + count - 1`: each begins with its number, and all of its bytes follow from it. */
export function nodesFrom(first: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => nodeNumber(first + index));
}

function nodeNumber(number: number): Buffer {
  const node = Buffer.alloc(NODE_BYTES);
  const next = random(number + 1);
  for (let at = 0; at < NODE_BYTES; at++) node[at] = Math.floor(next() * 256);
  node.writeUInt32LE(number, 0);
  return node;
}

/** @throws Error where `found` is not exactly nodes number 0 to `count - 1`, in this order */
export function assertNodes(found: readonly Uint8Array[], count: number): void {
  if (found.length !== count) throw new Error(`${count} nodes were appended, and ${found.length} were read back`);
  for (const [number, node] of found.entries()) {
    if (!nodeNumber(number).equals(node)) throw new Error(`node ${number} was read back with other bytes`);
  }
}
