import type { Severity } from '../../../src/format/problem.ts';
import type { Finding } from '../../../src/verify/verify.ts';
import { type CommittedRange, type GoodFile, pageRanges } from './good-files.ts';
import type { Mutation } from './mutate.ts';

const BLOCK = 262_144;
const RANK: Readonly<Record<Severity, number>> = { info: 0, warning: 1, error: 2 };

/** A finding that a mutation has to lead to: of at least that severity, and about that block, where one is named. */
export interface Demand {
  readonly least: Severity;
  readonly block?: number;
  readonly why: string;
}

/**
 * What verify has to find in a mutated file, by the description of the format. Nothing is demanded of a mutation that leaves
 * the committed bytes as they were, nor of one that makes the checksums fit what it has changed.
 */
export function demandsOf({ file, kind, bytes }: Mutation): Demand[] {
  const demands: Demand[] = [];
  if (bytes.length < file.bytes.length) demands.push({ least: 'error', why: 'the file is shorter' });
  if (bytes.length > file.bytes.length) demands.push({ least: 'info', why: 'the file is longer' });
  if (kind === 'sealed field') return demands;
  const [now, before] = [viewOf(bytes), viewOf(file.bytes)];
  const seen = new Set<number>();
  for (const range of file.committed) {
    const { what, block, start, end } = range;
    // What is cut off is told by the size alone.
    if (end > now.length || now.compare(before, start, end, start, end) === 0) continue;
    if (what !== 'page') demands.push(...headDemand(range, file, now));
    else if (!seen.has(block) && (block + 1) * BLOCK <= now.length) demands.push(...pageDemand(block, file, now));
    if (what === 'page') seen.add(block);
  }
  return demands;
}

function headDemand({ what, block, start, end }: CommittedRange, file: GoodFile, now: Buffer): Demand[] {
  // A copy of zeros is what files of other programs have.
  if (what === 'header copy' && now.subarray(start, end).every((byte) => byte === 0)) return [];
  // The digest covers it, and the list leads elsewhere, or ends too soon.
  if (what === 'link') return [{ least: 'error', why: `the link in block ${block}` }];
  if (what !== 'root descriptor') return [{ least: 'error', block, why: what }];
  // No checksum covers it: only a header copy that is of this very header can tell.
  const isSame = (from: number, to: number): boolean => now.compare(file.bytes, from, to, from, to) === 0;
  return isSame(0, 64) && isSame(12_288, 12_374) ? [{ least: 'warning', block, why: what }] : [];
}

/** What has to be found of a block that was a page with a checksum. */
function pageDemand(block: number, file: GoodFile, now: Buffer): Demand[] {
  const page = now.subarray(block * BLOCK, (block + 1) * BLOCK);
  const why = `page ${block}`;
  if (page.readBigUInt64LE(0) !== 0n || isZeroedPage(block, file, now)) return [{ least: 'error', block, why }];
  // A block that begins with 8 zero bytes may be one that was allocated and never written; one of zeros surely may.
  const isBlank = page.every((byte) => byte === 0);
  // That a page is gone, the digest tells.
  return [
    { least: isBlank ? 'info' : 'warning', block, why },
    { least: 'error', why },
  ];
}

/** Whether a page has lost its magic alone, in a file without a trie whose header and free list are what they were. */
function isZeroedPage(block: number, file: GoodFile, now: Buffer): boolean {
  if (now.length !== file.bytes.length || now.readBigUInt64LE(16) !== 0n) return false;
  return file.committed.every((range) => {
    if (range.what === 'header copy' || (range.block !== block && range.what === 'page')) return true;
    const start = range.start === block * BLOCK ? range.start + 8 : range.start;
    return now.compare(file.bytes, start, range.end, start, range.end) === 0;
  });
}

/** Whether the committed bytes of a block are what they were, all of them. */
export function isUntouched({ file, bytes }: Mutation, block: number): boolean {
  const now = viewOf(bytes);
  return file.committed
    .filter((range) => range.block === block)
    .every(({ start, end }) => end <= now.length && now.compare(file.bytes, start, end, start, end) === 0);
}

/** Bytes as a Buffer, without a copy. */
function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The page of the good file whose committed bytes are those of a block now, if there is one. @param page - the bytes of the block */
export function pageCopiedFrom(file: GoodFile, page: Buffer): number | undefined {
  const blocks = new Set(file.committed.filter(({ what }) => what === 'page').map(({ block }) => block));
  return [...blocks].find((block) => {
    const other = viewOf(file.bytes).subarray(block * BLOCK, (block + 1) * BLOCK);
    if (page.compare(other, 0, 64, 0, 64) !== 0) return false;
    return pageRanges(other, 0).every(({ start, end }) => page.compare(other, start, end, start, end) === 0);
  });
}

/** The demands that no finding meets. */
export function unmet(demands: readonly Demand[], findings: readonly Finding[]): Demand[] {
  return demands.filter(
    ({ least, block }) =>
      !findings.some((found) => RANK[found.severity] >= RANK[least] && (block === undefined || found.block === block)),
  );
}

/** Whether a mutated file may be refused as no page file at all: its magic is gone, or it ends in its header. */
export function mayBeNoPageFile({ file, bytes }: Mutation): boolean {
  return bytes.length < 64 || Buffer.compare(bytes.subarray(0, 8), file.bytes.subarray(0, 8)) !== 0;
}
