import { FILE_HEADER, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { copiedHeader } from '../salvage/header-proof.ts';
import { FILE_HEADER_BYTES, ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { decodePointer } from '../format/layout.ts';
import { rootProblems } from '../format/header-checks.ts';
import type { FileRoot } from '../store/page-file-builder.ts';
import type { FoundHeader } from './header-source.ts';
import type { RootOutcome } from './recovery-report.ts';

/** What speaks for and against the root pointer, once all blocks have been taken. */
export interface RootEvidence {
  readonly found: FoundHeader;
  /** Whether every node is sound or unverified, and at its ref. */
  readonly isWhole: boolean;
  readonly unverifiedNodes: number;
  /** Blocks of the new file. */
  readonly blocks: number;
  /** Slots of the page that {@link rootPage} names; -1 where it is no page. */
  readonly rootPageSlots: number;
  readonly keepRoot: boolean;
}

/** What becomes of the root pointer, and what the new file's header says. */
export interface RootVerdict {
  readonly outcome: RootOutcome;
  readonly reason?: string;
  readonly root?: FileRoot;
}

/** Where the root record should be; undefined where there is none. */
export function rootPage({ header, rootDescriptor }: FoundHeader): { block: number; slot: number } | undefined {
  const descriptor = decodePointer(header.rootPointer);
  if (header.rootPointer === 0n || descriptor.block !== 0) return undefined;
  const { rootType, rootRecord } = ROOT_DESCRIPTOR.read(rootDescriptor);
  const { block, slot, inMemory } = decodePointer(rootRecord);
  return rootType === 0 || inMemory || block === 0 ? undefined : { block, slot };
}

/** Keeps the root pointer where the trie is whole, or where that is asked for and it leads to a node. */
export function judgeRoot(evidence: RootEvidence): RootVerdict {
  const { found, blocks, rootPageSlots, keepRoot } = evidence;
  const { header, rootDescriptor, source } = found;
  if (source === 'lost') return { outcome: 'lost', reason: 'the file header is lost, and a root pointer with it' };
  const { rootPointer, entryCount, imageCheckpointLsn } = header;
  if (rootPointer === 0n) return { outcome: 'none' };
  const block0 = new Uint8Array(FILE_HEADER_BYTES + ROOT_DESCRIPTOR_BYTES);
  FILE_HEADER.write(header, block0);
  block0.set(rootDescriptor, ROOT_DESCRIPTOR_OFFSET);
  for (const { message } of rootProblems(header, block0, blocks)) return { outcome: 'dropped', reason: message };
  const page = rootPage(found);
  if (page && page.slot >= rootPageSlots) {
    return { outcome: 'dropped', reason: `its root record, in ${page.block}:${page.slot}, is lost` };
  }
  const doubt = doubtOf(evidence);
  if (doubt !== undefined && !keepRoot) return { outcome: 'dropped', reason: doubt };
  const root = { rootPointer, rootDescriptor: ROOT_DESCRIPTOR.read(rootDescriptor), entryCount, imageCheckpointLsn };
  return { outcome: 'kept', root, ...(doubt === undefined ? {} : { reason: doubt }) };
}

/** Why the trie may not be what the root pointer says. */
function doubtOf({ found, isWhole, unverifiedNodes }: RootEvidence): string | undefined {
  if (!isWhole) return 'not every node of the trie is sure to be there';
  const { source, head, rootDescriptor } = found;
  const isCopy = source === 'commit record' || source === 'header copy';
  if (isCopy && unverifiedNodes > 0) return `another program may have changed it since the ${source} was written`;
  const copy = copiedHeader(head);
  if (copy === undefined) return undefined;
  const isSameHeader = Buffer.compare(copy.fileHeader, head.subarray(0, FILE_HEADER_BYTES)) === 0;
  const isSameRoot = Buffer.compare(copy.rootDescriptor, rootDescriptor) === 0;
  return isSameHeader && !isSameRoot ? 'the root descriptor and its copy differ' : undefined;
}
