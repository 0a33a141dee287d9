import { type BlockFile, OverlaidFile } from '../disk/block-file.ts';
import { CommittedView, readStart } from '../disk/committed-view.ts';
import { digestIn, type DigestKind, type DigestState } from '../format/digest.ts';
import { digestProblems } from '../format/digest-checks.ts';
import type { Problem } from '../format/problem.ts';
import { provenCommit } from '../salvage/proven-commit.ts';
import { decodeJournalContent, overlayPatches } from '../disk/journal.ts';
import {
  encodeFileHeader,
  FILE_HEADER,
  type FileHeader,
  newFileHeader,
  ROOT_DESCRIPTOR,
} from '../format/file-header.ts';
import { fileIdIn } from '../format/file-id.ts';
import { BLOCK_BYTES, FILE_HEAD_BYTES, FILE_HEADER_BYTES, MAX_BLOCKS } from '../format/layout.ts';
import { lostRecordedPages, type RecordedPage, restoredHead, tookEffect } from '../salvage/evidence.ts';
import { HeaderEvidence, isValidHeader, resolveHeader } from '../salvage/header-candidates.ts';
import {
  type DatedHeader,
  datedHeaders,
  newerHeaders,
  placedDigest,
  proveHeader,
  provesOlder,
} from '../salvage/newer-header.ts';
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
  /** Blocks whose last page header is only in a commit record that took effect; they may have a valid older one. */
  readonly recordedPages: readonly number[];
  readonly rootDescriptor: Uint8Array;
  readonly digest: HeaderDigest;
  /** What is wrong with the header and the digest in block 0, if its checksum is valid. */
  readonly headProblems: readonly Problem[];
  /** Whether the header in block 0 is out of date, and the one that is used instead is not proved to be the newest. */
  readonly isOutdated: boolean;
}

/** The digest of the page headers that goes with the header. */
export interface HeaderDigest {
  readonly kind: DigestKind;
  /** Set only if `kind` is `valid`. */
  readonly state: DigestState | undefined;
  /** End of the blocks that it covers. */
  readonly end: number;
}

/** @throws {@link PageStoreError} `IO`; the reason of the signal */
export async function findHeader(file: BlockFile, signal?: AbortSignal): Promise<FoundHeader> {
  const head = new Uint8Array(FILE_HEAD_BYTES);
  head.fill(0, await file.read(head, 0));
  const journal = await file.journal.read();
  // The size does not matter: the file may have been cut off since.
  const { patches } = decodeJournalContent(journal, { fileId: fileIdIn(head), fileBytes: Infinity });
  overlayPatches(patches, head, 0);
  const fileBytes = await file.size();
  const startedBlocks = Math.max(1, Math.ceil(fileBytes / BLOCK_BYTES));
  const evidence = new HeaderEvidence(head, Math.floor(fileBytes / BLOCK_BYTES));
  const copies = datedHeaders(head);
  const proven = provenCommit(head);
  const found = async (source: RecoveredHeaderSource, bytes: Uint8Array, isProven: boolean): Promise<FoundHeader> => {
    const copiedDigest = newestOf(copies, bytes)?.digest;
    const isCopied = source === 'commit record' || source === 'header copy';
    const overlays = [{ position: 0, bytes }, ...(isCopied && copiedDigest ? [placedDigest(copiedDigest, bytes)] : [])];
    const overlaid = source === 'block 0' ? file : new OverlaidFile(file, overlays, file.journal);
    const view = await CommittedView.open(overlaid, signal);
    const header = await view.readFileHeader();
    const isCountProven = isProven && header.blockCount > 0 && header.blockCount <= MAX_BLOCKS;
    const counted = Math.min(header.blockCount, MAX_BLOCKS);
    const countedBlocks =
      source === 'lost' ? startedBlocks : isCountProven ? counted : Math.max(startedBlocks, counted);
    const copied = source === 'header copy' ? evidence.copy?.rootDescriptor : undefined;
    const rootDescriptor = copied ?? rootDescriptorOf(head).slice();
    const recordedPages = await provenPages(view, head, signal);
    const blocks = { fileBytes, startedBlocks, countedBlocks };
    const stored = digestIn(await readStart(view));
    const own = stored.kind === 'damaged' && copiedDigest ? { kind: 'valid' as const, state: copiedDigest } : stored;
    const state = own.kind === 'valid' ? own.state : undefined;
    // With its header lost, the digest in block 0 still says what the pages of the last commit were.
    const loose = isCopied || source === 'lost' ? digestIn(head).state : undefined;
    const digest: HeaderDigest =
      loose && loose.commit > (state?.commit ?? 0)
        ? { kind: 'valid', state: loose, end: isCountProven ? countedBlocks : startedBlocks }
        : { kind: source === 'lost' ? 'absent' : own.kind, state, end: counted };
    const isOutdated = digest.state !== undefined && digest.state.commit < proven;
    const facts = { digest, headProblems: [], isOutdated };
    return { source, header, isCountProven, view, ...blocks, head, recordedPages, rootDescriptor, ...facts };
  };
  const committed = isValidHeader(head.subarray(0, FILE_HEADER_BYTES)) ? await committedHead(file, signal) : undefined;
  const headProblems = committed ? [...digestProblems(committed)] : [];
  const dated = committed ? await findNewest(file, committed, found, signal) : undefined;
  if (dated) return { ...dated, headProblems };
  const newest = evidence.validRecords.at(-1);
  const best = await resolveHeader(evidence, {
    order: evidence.isCopyNewest
      ? ['block 0', 'derived', 'header copy', 'commit record']
      : ['block 0', 'derived', 'commit record'],
    assumesMagic: true,
    signal,
    accept: async ({ source, bytes, record, isReplaced }) => {
      if (record === undefined) {
        const withHeader = await found(source, bytes, source !== 'header copy');
        return source === 'derived' && withHeader.isOutdated ? undefined : withHeader;
      }
      if (isReplaced === true) return undefined;
      const withHeader = await found(source, bytes, record === newest && !evidence.isRecordLost);
      // An invalid record may be damaged and have counted more blocks; a valid one is preferred.
      const { validRecords } = withHeader.view.recovery;
      const isValid = validRecords.some(({ sequence }) => sequence === record.sequence);
      return isValid && !withHeader.isOutdated ? withHeader : undefined;
    },
  });
  if (best) return { ...best, headProblems };
  const last = newestDated(copies);
  if (last && last.digest.commit >= proven) return found(last.source, last.bytes, false);
  if (newest) return found('commit record', newest.fileHeader, false);
  return found('lost', encodeFileHeader(newFileHeader(Math.min(startedBlocks, MAX_BLOCKS))), false);
}

/** The first 12,800 bytes of block 0, with the commit records applied. */
async function committedHead(file: BlockFile, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const head = new Uint8Array(FILE_HEAD_BYTES);
  const view = await CommittedView.open(file, signal);
  head.fill(0, await view.read(head, 0));
  return head;
}

/**
 * In a file whose header is out of date: the newest header whose digest is that of the pages that it counts. Without one,
 * the newest that counts more blocks, or else that in block 0.
 * @param head - the first 12,800 bytes of block 0, with the commit records applied
 */
async function findNewest(
  file: BlockFile,
  head: Uint8Array,
  found: (source: RecoveredHeaderSource, bytes: Uint8Array, isProven: boolean) => Promise<FoundHeader>,
  signal: AbortSignal | undefined,
): Promise<FoundHeader | undefined> {
  const headers = newerHeaders(head);
  if (headers === undefined) return undefined;
  for (const header of headers)
    if (await proveHeader(file, header, head, signal)) return found(header.source, header.bytes, true);
  const inBlock0 = head.slice(0, FILE_HEADER_BYTES);
  const { blockCount } = FILE_HEADER.read(inBlock0);
  const longer = headers.find(({ bytes }) => FILE_HEADER.read(bytes).blockCount > blockCount);
  // Of the header in block 0 it is known that it is not the newest, so blocks that it does not count are recovered too.
  const { source, bytes } = longer ?? { source: 'block 0' as const, bytes: inBlock0 };
  return { ...(await found(source, bytes, false)), isOutdated: true };
}

function newestDated(headers: readonly DatedHeader[]): DatedHeader | undefined {
  return headers.toSorted((a, b) => a.digest.commit - b.digest.commit).at(-1);
}

function newestOf(headers: readonly DatedHeader[], bytes: Uint8Array): DatedHeader | undefined {
  return newestDated(headers.filter((each) => Buffer.compare(each.bytes, bytes) === 0));
}

/** The blocks whose last page header is proved to be in a commit record. */
async function provenPages(view: CommittedView, head: Uint8Array, signal: AbortSignal | undefined): Promise<number[]> {
  const whole = (await lostRecordedPages(view, head)).filter(({ isWhole }) => isWhole);
  if (whole.length === 0) return [];
  const withHeads = async (pages: readonly RecordedPage[]): Promise<CommittedView> =>
    CommittedView.open(new OverlaidFile(view, pages.map(restoredHead), view.journal), signal);
  const isOlderProven = await provesOlder(whole, await withHeads(whole), signal);
  const lastCommit = digestIn(await readStart(view)).state?.commit ?? 0;
  const proven: number[] = [];
  for (const page of whole) {
    // A record that the file header has seen was acknowledged, whatever else is lost.
    const isAcknowledged = (page.record.digest?.commit ?? Infinity) <= lastCommit;
    if (page.isOlder && !isOlderProven && !isAcknowledged) continue;
    if (tookEffect(await withHeads([page]), page.record)) proven.push(page.record.block);
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
  const { rootPointer, entryCount } = header;
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
  // The log of the source is not beside the new file, and a new log begins at 1.
  const log = { imageCheckpointLsn: 0n };
  const root = { rootPointer, rootDescriptor: ROOT_DESCRIPTOR.read(rootDescriptor), entryCount, ...log };
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
