// TypeScript's checks again, at run time: a string passed as a node would be stored as other bytes, and acknowledged.

export function assertNode(call: string, node: unknown, parameter: string = 'node'): asserts node is Uint8Array {
  if (node instanceof Uint8Array) return;
  throw new TypeError(`${call}: ${parameter} must be a Uint8Array; encode text with TextEncoder`);
}

/** Lengths are kept in 32 bits, far more than a page holds. */
const MAX_LENGTH = 0xffff_ffff;

/** The lengths of nodes that follow each other in `bytes` without gaps, as the packing loops take them. */
export function nodeLengths(bytes: unknown, lengths: ArrayLike<number> | undefined): Uint32Array {
  assertNode('appendMany', bytes, 'nodes');
  if (typeof lengths !== 'object' || lengths === null || !Number.isSafeInteger(lengths.length))
    throw new TypeError('appendMany: lengths must be an array of numbers, such as a Uint32Array, for one Uint8Array');
  let total = 0;
  for (let index = 0; index < lengths.length; index++) {
    const nodeBytes = lengths[index] as number;
    if (!Number.isInteger(nodeBytes) || nodeBytes < 0 || nodeBytes > MAX_LENGTH)
      throw new RangeError(`appendMany: lengths[${index}] must be the length of a node in bytes, not ${nodeBytes}`);
    total += nodeBytes;
  }
  if (total !== bytes.length)
    throw new RangeError(`appendMany: the sum of lengths is ${total}, but nodes has ${bytes.length} bytes`);
  return lengths instanceof Uint32Array ? lengths : Uint32Array.from(lengths);
}

/** More bytes of nodes, and more nodes, than any page holds. */
const MORE_THAN_A_PAGE = 262_144;

/** Checks nodes `from` to `to - 1`, but no more than one page takes. @returns the end of the checked nodes */
export function checkedNodes(source: unknown, start: number, lengths: unknown, from: number, to: number): number {
  if (!(lengths instanceof Uint32Array)) throw new TypeError('stageMany: lengths must be a Uint32Array');
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && to >= from && to <= lengths.length)) {
    const range = `[${String(from)}, ${String(to)})`;
    throw new RangeError(`stageMany: [from, to) must be a range within the ${lengths.length} lengths, not ${range}`);
  }
  const last = Math.min(to, from + MORE_THAN_A_PAGE);
  let end = start;
  let index = from;
  // A node longer than a page is included here, and refused by makeRoom.
  while (index < last && end - start <= MORE_THAN_A_PAGE) end += lengths[index++] as number;
  assertRange('stageMany', source, start, end);
  return index;
}

export function assertRange(call: string, source: unknown, start: number, end: number): void {
  assertNode(call, source, 'source');
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end >= start && end <= source.length) return;
  const range = `[${String(start)}, ${String(end)})`;
  throw new RangeError(
    `${call}: [start, end) must be a range within the ${source.length} bytes of source, not ${range}`,
  );
}
