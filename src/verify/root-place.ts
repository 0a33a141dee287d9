import { type FileHeader, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { decodePointer } from '../format/pointer.ts';

/** Where the root record of a trie should be. */
export interface RootPlace {
  readonly block: number;
  readonly slot: number;
}

/** Where a sound root descriptor says that the root record is. @param wholeBlocks - blocks that the file has */
export function rootPlaceOf(header: FileHeader, block0: Uint8Array, wholeBlocks: number): RootPlace | undefined {
  const descriptor = decodePointer(header.rootPointer);
  if (header.rootPointer === 0n || descriptor.block !== 0 || descriptor.slot !== ROOT_DESCRIPTOR_OFFSET)
    return undefined;
  const { rootType, rootRecord } = ROOT_DESCRIPTOR.read(block0, ROOT_DESCRIPTOR_OFFSET);
  const { block, slot, inMemory } = decodePointer(rootRecord);
  return rootType === 0 || inMemory || block === 0 || block >= wholeBlocks ? undefined : { block, slot };
}
