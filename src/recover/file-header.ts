import { type BlockFile, OverlaidFile } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { overlayPatches } from '../disk/journal.ts';
import { encodeFileHeader, type FileHeader, newFileHeader, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { decodePatchJournal } from '../format/journal.ts';
import { BLOCK_BYTES, FILE_HEAD_BYTES, FILE_HEADER_BYTES, fileOffset, MAX_BLOCKS } from '../format/layout.ts';
import { lostRecordedPages, tookEffect } from '../salvage/evidence.ts';
import { HeaderEvidence, resolveHeader } from '../salvage/header-candidates.ts';
import {
  copiedRootDescriptor,
  descriptorProblems,
  rootDescriptorOf,
  type RootPlace,
  rootPlaceOf,
} from '../salvage/evidence.ts';
import type { FileRoot } from '../store/page-file-builder.ts';
import type { RecoveredHeaderSource, RootOutcome } from './report.ts';

/** The most likely file header, and a view of the file with it. */
export interface FoundHeader {
  readonly source: RecoveredHeaderSource;
  readonly header: FileHeader;
  /** Whether the block count is that of the last commit, so later blocks were never acknowledged. */
  readonly isCountProven: boolean;
  readonly view: CommittedView;
  readonly fileBytes: number;
  /** Blocks of which the file has at least one byte; at least 1. */
  readonly startedBlocks: number;
  /** Blocks that the file should have, block 0 included. */
  readonly countedBlocks: number;
  /** The first 12,800 bytes of block 0, with the journal applied. */
  readonly head: Uint8Array;
  /** Blocks whose page header is only in a commit record that took effect. */
  readonly recordedPages: readonly number[];
  readonly rootDescriptor: Uint8Array;
}

/** @throws {@link PageStoreError} `IO`; the reason of the signal */
export async function findHeader(file: BlockFile, signal?: AbortSignal): Promise<FoundHeader> {
  const head = new Uint8Array(FILE_HEAD_BYTES);
  head.fill(0, await file.read(head, 0));
  const journal = await file.journal.read();
  overlayPatches(journal && decodePatchJournal(journal), head, 0);
  const fileBytes = await file.size();
  const startedBlocks = Math.max(1, Math.ceil(fileBytes / BLOCK_BYTES));
  const evidence = new HeaderEvidence(head, Math.floor(fileBytes / BLOCK_BYTES));
  const found = async (source: RecoveredHeaderSource, bytes: Uint8Array, isProven: boolean): Promise<FoundHeader> => {
    const overlaid = source === 'block 0' ? file : new OverlaidFile(file, [{ position: 0, bytes }], file.journal);
    const view = await CommittedView.open(overlaid);
    const header = await view.readFileHeader();
    const isCountProven = isProven && header.blockCount > 0 && header.blockCount <= MAX_BLOCKS;
    const counted = Math.min(header.blockCount, MAX_BLOCKS);
    const countedBlocks =
      source === 'lost' ? startedBlocks : isCountProven ? counted : Math.max(startedBlocks, counted);
    const copied = source === 'header copy' ? evidence.copy?.rootDescriptor : undefined;
    const rootDescriptor = copied ?? rootDescriptorOf(head).slice();
    const recordedPages = await provenPages(view, head);
    const blocks = { fileBytes, startedBlocks, countedBlocks };
    return { source, header, isCountProven, view, ...blocks, head, recordedPages, rootDescriptor };
  };
  const newest = evidence.validRecords.at(-1);
  const best = await resolveHeader(evidence, {
    order: evidence.isCopyNewest
      ? ['block 0', 'derived', 'header copy', 'commit record']
      : ['block 0', 'derived', 'commit record'],
    assumesMagic: true,
    signal,
    accept: async ({ source, bytes, record, isReplaced }) => {
      if (record === undefined) return found(source, bytes, source !== 'header copy');
      if (isReplaced === true) return undefined;
      const withHeader = await found(source, bytes, record === newest && !evidence.isRecordLost);
      // An invalid record may be damaged and have counted more blocks; a valid one is preferred.
      const { validRecords } = withHeader.view.recovery;
      return validRecords.some(({ sequence }) => sequence === record.sequence) ? withHeader : undefined;
    },
  });
  if (best) return best;
  if (newest) return found('commit record', newest.fileHeader, false);
  return found('lost', encodeFileHeader(newFileHeader(Math.min(startedBlocks, MAX_BLOCKS))), false);
}

async function provenPages(view: CommittedView, head: Uint8Array): Promise<number[]> {
  const proven: number[] = [];
  for (const { record, isWhole } of await lostRecordedPages(view, head)) {
    const restored = { position: fileOffset(record.block), bytes: record.blockHead };
    const file = new OverlaidFile(view, [restored], view.journal);
    if (isWhole && tookEffect(await CommittedView.open(file), record)) proven.push(record.block);
  }
  return proven;
}

export const rootPage = ({ header, rootDescriptor }: FoundHeader): RootPlace | undefined =>
  rootPlaceOf(header, rootDescriptor, Infinity);

/** What decides about the root pointer. */
interface RecoveredTrie {
  /** Whether every node is sound or unverified, and at its ref. */
  readonly isWhole: boolean;
  readonly unverifiedNodes: number;
  readonly blocks: number;
  /** -1 if the block is not a page. */
  readonly rootPageSlots: number;
  readonly keepRoot: boolean;
}

interface RootDecision {
  readonly outcome: RootOutcome;
  readonly reason?: string;
  readonly root?: FileRoot;
}

/** Keeps the root pointer if the trie is whole, or by request if it leads to a node. */
export function decideRoot(found: FoundHeader, trie: RecoveredTrie): RootDecision {
  const { header, rootDescriptor, source } = found;
  if (source === 'lost') return { outcome: 'lost', reason: 'the file header is lost, and a root pointer with it' };
  const { rootPointer, entryCount, imageCheckpointLsn } = header;
  if (rootPointer === 0n) return { outcome: 'none' };
  for (const { message } of descriptorProblems(header, rootDescriptor, trie.blocks)) {
    return { outcome: 'dropped', reason: message };
  }
  const page = rootPage(found);
  if (page && page.slot >= trie.rootPageSlots) {
    return { outcome: 'dropped', reason: `the root record, in ${page.block}:${page.slot}, is lost` };
  }
  const doubt = doubtAboutTrie(found, trie);
  if (doubt !== undefined && !trie.keepRoot) return { outcome: 'dropped', reason: doubt };
  const root = { rootPointer, rootDescriptor: ROOT_DESCRIPTOR.read(rootDescriptor), entryCount, imageCheckpointLsn };
  return { outcome: 'kept', root, ...(doubt === undefined ? {} : { reason: doubt }) };
}

/** Why the root pointer may belong to another trie. */
function doubtAboutTrie(found: FoundHeader, { isWhole, unverifiedNodes }: RecoveredTrie): string | undefined {
  if (!isWhole) return 'nodes of the trie may be missing';
  const { source, head, rootDescriptor } = found;
  const isCopy = source === 'commit record' || source === 'header copy';
  if (isCopy && unverifiedNodes > 0) return `another program may have changed it since the ${source} was written`;
  const copied = copiedRootDescriptor(head, [head.subarray(0, FILE_HEADER_BYTES)]);
  const isDifferent = copied !== undefined && Buffer.compare(copied, rootDescriptor) !== 0;
  return isDifferent ? 'the root descriptor and its copy differ' : undefined;
}
