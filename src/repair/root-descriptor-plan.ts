import { onlyDifferingBit } from '../bytes/flipped-bit.ts';
import { descriptorDifference } from '../format/block0-invariants.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import type { Problem } from '../format/invariants.ts';
import { ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { decodePointer } from '../format/pointer.ts';
import { rootProblems } from '../format/root-invariants.ts';
import { copiedHeader, rootDescriptorOf } from '../format/header-copy.ts';

/** What becomes of the root descriptor. */
export interface RootDescriptorPlan {
  /** The 18 bytes that it will have. */
  readonly bytes: Uint8Array;
  /** Why it stays as it is though it is, or may be, damaged; then no copy is made of it. */
  readonly left: readonly Problem[];
}

/**
 * Plans the root descriptor. The one in the copy is as of the header, where that is the one that the copy was made of:
 * libdictenstein writes both together.
 * @param head - the first 12,800 bytes of block 0
 * @param fileHeader - the 64 bytes that the file header will have
 * @param states - those that it has, or had before it was damaged
 */
export function planRootDescriptor(
  head: Uint8Array,
  fileHeader: Uint8Array,
  states: readonly Uint8Array[],
  blocks: number,
): RootDescriptorPlan {
  const now = rootDescriptorOf(head);
  const header = FILE_HEADER.read(fileHeader);
  const copy = copiedHeader(head);
  const isSameHeader = copy && [fileHeader, ...states].some((state) => Buffer.compare(copy.fileHeader, state) === 0);
  const copied = isSameHeader ? copy.rootDescriptor : undefined;
  const broken = [...rootProblems(header, head, blocks)];
  if (broken.length > 0) {
    return copied && isPossible(head, fileHeader, copied, blocks)
      ? { bytes: copied, left: [] }
      : { bytes: now, left: broken };
  }
  const { block, slot } = decodePointer(header.rootPointer);
  const isUsed = block === 0 && slot === ROOT_DESCRIPTOR_OFFSET;
  if (copied === undefined || !isUsed || Buffer.compare(now, copied) === 0) return { bytes: now, left: [] };
  if (onlyDifferingBit(now, copied) >= 0 && isPossible(head, fileHeader, copied, blocks)) {
    return { bytes: copied, left: [] };
  }
  const problem = descriptorDifference(now, copied);
  const why = '; more than one bit is another, so another program may have changed it';
  return { bytes: now, left: [{ ...problem, message: problem.message + why }] };
}

/** Whether a root descriptor says nothing that cannot be. */
function isPossible(head: Uint8Array, fileHeader: Uint8Array, descriptor: Uint8Array, blocks: number): boolean {
  const block0 = head.slice();
  block0.set(descriptor, ROOT_DESCRIPTOR_OFFSET);
  return rootProblems(FILE_HEADER.read(fileHeader), block0, blocks).next().done === true;
}
