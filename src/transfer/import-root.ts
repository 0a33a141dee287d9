import { newFileHeader, ROOT_DESCRIPTOR, type RootDescriptor } from '../format/file-header.ts';
import { ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { rootProblems } from '../format/root-invariants.ts';
import type { FileRoot } from '../store/page-file-builder.ts';
import { type Fields, fieldError, lineError, u64, wholeNumber } from './import-fields.ts';

const U8_MAX = 0xff;
const U32_MAX = 0xffff_ffff;

const NO_DESCRIPTOR: RootDescriptor = { rootType: 0, isFinal: 0, termCount: 0, arenaCount: 0, rootRecord: 0n };

/**
 * The root that a `file` line tells of; its pointer is 0 where the file has no trie.
 * @throws {@link PageStoreError} `INVALID_LINE` for one that no file of so many blocks may have
 */
export function rootOf(file: Fields, blocks: number): FileRoot {
  const imageCheckpointLsn = file['imageCheckpointLsn'] === undefined ? 0n : u64(file, 'imageCheckpointLsn');
  if (file['rootPointer'] === undefined) {
    return { rootPointer: 0n, rootDescriptor: NO_DESCRIPTOR, entryCount: 0n, imageCheckpointLsn };
  }
  const rootPointer = u64(file, 'rootPointer');
  const rootDescriptor = descriptorOf(file);
  const start = new Uint8Array(ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  ROOT_DESCRIPTOR.write(rootDescriptor, start, ROOT_DESCRIPTOR_OFFSET);
  for (const { message } of rootProblems({ ...newFileHeader(blocks), rootPointer }, start, blocks))
    throw lineError(message);
  return { rootPointer, rootDescriptor, entryCount: u64(file, 'entryCount'), imageCheckpointLsn };
}

function descriptorOf(file: Fields): RootDescriptor {
  const descriptor = file['rootDescriptor'];
  if (typeof descriptor !== 'object' || descriptor === null) throw fieldError(file, 'rootDescriptor', 'an object');
  const fields = descriptor as Fields;
  return {
    rootType: wholeNumber(fields, 'rootType', 0, U8_MAX),
    isFinal: wholeNumber(fields, 'isFinal', 0, U8_MAX),
    termCount: wholeNumber(fields, 'termCount', 0, U32_MAX),
    arenaCount: wholeNumber(fields, 'arenaCount', 0, U32_MAX),
    rootRecord: u64(fields, 'rootRecord'),
  };
}
