import { types } from 'node:util';
import type { HandleSource } from '../arena/handle-table.ts';
import { hasLostMemory, isBytes, lengthOf, valueText } from '../arguments.ts';

// TypeScript's checks again, at run time: a string passed as a node would be stored as other bytes, and acknowledged.

export function assertNode(call: string, node: unknown, parameter: string = 'node'): asserts node is Uint8Array {
  if (!isBytes(node)) throw new TypeError(`${call}: ${parameter} must be a Uint8Array; encode text with TextEncoder`);
  if (hasLostMemory(node)) throw detached(call, parameter);
}

/** As {@link assertNode}, for loops over many nodes. */
export function assertNextNode(call: string, node: unknown, parameter: string): asserts node is Uint8Array {
  if (!isBytes(node) || node[0] === undefined) assertNode(call, node, parameter);
}

function detached(call: string, parameter: string): TypeError {
  return new TypeError(`${call}: ${parameter} is detached: its buffer was transferred, or became too short`);
}

/** Lengths are kept in 32 bits, far more than a page holds. */
const MAX_LENGTH = 0xffff_ffff;

/** A copy of the lengths of nodes that follow each other in `bytes` without gaps, as the packing loops take them. */
export function nodeLengths(bytes: unknown, lengths: ArrayLike<number> | undefined): Uint32Array {
  assertNode('appendMany', bytes, 'nodes');
  if (typeof lengths !== 'object' || lengths === null || !Number.isSafeInteger(lengths.length) || lengths.length < 0)
    throw new TypeError('appendMany: lengths must be an array of numbers, such as a Uint32Array, for one Uint8Array');
  assertMemory('appendMany', 'lengths', lengths);
  const copy = new Uint32Array(lengths.length);
  let total = 0;
  for (let index = 0; index < copy.length; index++) {
    const nodeBytes = lengths[index] as number;
    if (!Number.isInteger(nodeBytes) || nodeBytes < 0 || nodeBytes > MAX_LENGTH)
      throw new RangeError(`appendMany: lengths[${index}] must be the length of a node in bytes, not ${nodeBytes}`);
    total += nodeBytes;
    copy[index] = nodeBytes;
  }
  if (total !== bytes.length)
    throw new RangeError(`appendMany: the sum of lengths is ${total}, but nodes has ${bytes.length} bytes`);
  return copy;
}

/** Refuses a typed array whose buffer was transferred: it looks like an empty one. */
function assertMemory(call: string, parameter: string, values: unknown): void {
  if (ArrayBuffer.isView(values) && hasLostMemory(values)) throw detached(call, parameter);
}

export function isHandleSource(value: unknown): value is HandleSource {
  return typeof value === 'object' && value !== null && typeof (value as Partial<HandleSource>).locate === 'function';
}

/** The arena refuses those that are not its handles. */
export function assertHandles(
  call: string,
  handles: unknown,
  from: number = 0,
  to: number = lengthOf(handles as Uint8Array),
): asserts handles is ArrayLike<number> {
  if (typeof handles !== 'object' || handles === null || !Number.isSafeInteger((handles as ArrayLike<number>).length))
    throw new TypeError(`${call}: handles must be an array of numbers, such as a Float64Array`);
  assertMemory(call, 'handles', handles);
  const { length } = handles as ArrayLike<number>;
  if (Number.isInteger(from) && Number.isInteger(to) && from >= 0 && to >= from && to <= length) return;
  const range = `[${valueText(from)}, ${valueText(to)})`;
  throw new RangeError(`${call}: [from, to) must be a range within the ${length} handles, not ${range}`);
}

/** More bytes of nodes, and more nodes, than any page holds. */
const MORE_THAN_A_PAGE = 262_144;

/** Checks nodes `from` to `to - 1`, but no more than one page takes. @returns the end of the checked nodes */
export function checkedNodes(source: unknown, start: number, lengths: unknown, from: number, to: number): number {
  if (!types.isUint32Array(lengths)) throw new TypeError('stageMany: lengths must be a Uint32Array');
  if (!Number.isInteger(start))
    throw new RangeError(`stageMany: start must be a whole number, not ${valueText(start)}`);
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && to >= from && to <= lengths.length)) {
    const range = `[${valueText(from)}, ${valueText(to)})`;
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
  assertNextNode(call, source, 'source');
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end >= start && end <= source.length) return;
  const range = `[${valueText(start)}, ${valueText(end)})`;
  throw new RangeError(
    `${call}: [start, end) must be a range within the ${source.length} bytes of source, not ${range}`,
  );
}
