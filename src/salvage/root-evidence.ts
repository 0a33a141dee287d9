import { counted } from '../bytes/encodings.ts';
import type { CommittedView } from '../disk/committed-view.ts';
import { type FileHeader, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { rootProblems } from '../format/header-checks.ts';
import { decodePointer, encodePointer, ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import type { Problem } from '../format/problem.ts';
import { BlockReader, linkOf, NonPages } from './block-kind.ts';
import { checkFreeList } from './free-blocks.ts';
import { copiedHeader } from './header-candidates.ts';

/** Where the root record of a trie should be. */
export interface RootPlace {
  readonly block: number;
  readonly slot: number;
}

/** The location of the root record in a valid root descriptor of 18 bytes, of a file with so many blocks. */
export function rootPlaceOf(
  { rootPointer }: FileHeader,
  descriptor: Uint8Array,
  blocks: number,
): RootPlace | undefined {
  const pointer = decodePointer(rootPointer);
  if (rootPointer === 0n || pointer.block !== 0 || pointer.slot !== ROOT_DESCRIPTOR_OFFSET) return undefined;
  const { rootType, rootRecord } = ROOT_DESCRIPTOR.read(descriptor);
  const { block, slot, inMemory } = decodePointer(rootRecord);
  return rootType === 0 || inMemory || block === 0 || block >= blocks ? undefined : { block, slot };
}

export function rootDescriptorOf(head: Uint8Array): Uint8Array {
  return head.subarray(ROOT_DESCRIPTOR_OFFSET, ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
}

/** @param slots - slots of the page that should contain the root record; -1 if it is not a page */
export function noRootRecordMessage({ block, slot }: RootPlace, slots: number): string {
  const why = slots < 0 ? 'is not a page' : `has ${counted(slots, 'slot')}`;
  return `the root record should be in slot ${slot} of block ${block}, which ${why}`;
}

/**
 * The root descriptor of 18 bytes in the header copy, if the copy was made with one of these file headers:
 * libdictenstein writes both together.
 */
export function copiedRootDescriptor(head: Uint8Array, fileHeaders: readonly Uint8Array[]): Uint8Array | undefined {
  const copy = copiedHeader(head);
  const isSameHeader = copy && fileHeaders.some((fileHeader) => Buffer.compare(copy.fileHeader, fileHeader) === 0);
  return isSameHeader ? copy.rootDescriptor : undefined;
}

/** What is wrong with a root pointer and a root descriptor of 18 bytes. */
export function descriptorProblems(
  header: Pick<FileHeader, 'rootPointer'>,
  descriptor: Uint8Array,
  blocks: number,
): Generator<Problem> {
  const block0 = new Uint8Array(ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  block0.set(descriptor, ROOT_DESCRIPTOR_OFFSET);
  return rootProblems(header, block0, blocks);
}

/** The root descriptor that belongs to a file header. */
export interface RootDescriptorProof {
  /** 18 bytes; undefined if it is the one in block 0. */
  readonly rootDescriptor: Uint8Array | undefined;
}

export interface Unproven {
  readonly why: string;
}

/**
 * Finds the root descriptor that belongs to another state of the file header. It is the one in block 0 if the copy has
 * the same, since it is written with the header. If it was lost, there was no trie as long as no other program has written
 * a page: a trie has nodes.
 * @param view - the file with the other state of its header
 */
export async function findRootDescriptor(
  head: Uint8Array,
  view: CommittedView,
): Promise<RootDescriptorProof | Unproven> {
  const header = await view.readFileHeader();
  const descriptor = rootDescriptorOf(head);
  const none = new Uint8Array(ROOT_DESCRIPTOR_BYTES);
  const copied = copiedHeader(head)?.rootDescriptor;
  const isKnown = copied !== undefined || header.rootPointer === 0n;
  if (isKnown && Buffer.compare(copied ?? none, descriptor) === 0) return { rootDescriptor: undefined };
  const had = copied === undefined ? 'no trie' : 'another root descriptor';
  const why = `it was made with ${had}, and the trie may have changed since`;
  const hadNone = header.rootPointer === 0n && Buffer.compare(copied ?? none, none) === 0;
  const used = { rootPointer: encodePointer(0, ROOT_DESCRIPTOR_OFFSET, 0) };
  const isDamaged = descriptorProblems(used, descriptor, header.blockCount).next().done !== true;
  if (!hadNone || !isDamaged) return { why };
  const foreign = await firstForeignBlock(view, header.blockCount);
  if (foreign === undefined) return { rootDescriptor: none };
  return { why: `${why}: block ${foreign} is neither a page with an up-to-date checksum nor free` };
}

/** The first block that is neither a page with a checksum over all of it nor on the free list. */
async function firstForeignBlock(view: CommittedView, blocks: number): Promise<number | undefined> {
  const [reader, others] = [new BlockReader(), new NonPages()];
  for (let block = 1; block < blocks; block++) {
    await reader.read(view, block);
    const { page } = reader;
    if (page === undefined) others.add(block, linkOf(reader.bytes));
    else if (page.error || page.checksumState !== 'match') return block;
  }
  const { free, isWhole } = checkFreeList(await view.readFileHeader(), others, blocks);
  for (let index = 0; index < others.count; index++) if (!free.has(others.idAt(index))) return others.idAt(index);
  return isWhole ? undefined : 0;
}
