import { baseBytes } from '../corpus.ts';
import { Draft } from '../damaged/draft.ts';
import { plantTrie } from '../damaged/root-damage.ts';
import { specFreeList } from '../spec-reader.ts';

const BLOCK = 262_144;

/** Bytes of a file whose change verify has to notice, and what they are. */
export interface CommittedRange {
  readonly what: 'file header' | 'root descriptor' | 'digest' | 'header copy' | 'page' | 'link';
  readonly block: number;
  /** From the start of the file. */
  readonly start: number;
  readonly end: number;
}

/** A file in which nothing is wrong, from which mutations are made. */
export interface GoodFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly committed: readonly CommittedRange[];
  /** Places of fields and numbers: what is worth setting to extremes. */
  readonly fields: readonly Field[];
}

export interface Field {
  readonly at: number;
  readonly bytes: 1 | 2 | 4 | 8;
}

/**
 * The committed bytes of a file of ours, by the description of the format alone: the file header; the root descriptor where
 * there is a trie; the digest; the header copy; of each page with a checksum its header, the nodes up to freeOffset and its directory; of
 * each free block the link. Not among them: free space, the rest of a free block, commit records, and all of a page without a
 * checksum.
 */
export function committedRanges(bytes: Uint8Array): CommittedRange[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const ranges: CommittedRange[] = [{ what: 'file header', block: 0, start: 0, end: 64 }];
  if (view.readBigUInt64LE(16) !== 0n) ranges.push({ what: 'root descriptor', block: 0, start: 64, end: 82 });
  ranges.push({ what: 'digest', block: 0, start: 88, end: 128 });
  if (view.readUInt32LE(12_370) !== 0) ranges.push({ what: 'header copy', block: 0, start: 12_288, end: 12_374 });
  const free = specFreeList(view);
  for (let block = 1; block < bytes.length / BLOCK; block++) {
    const at = block * BLOCK;
    if (free.has(block)) ranges.push({ what: 'link', block, start: at, end: at + 8 });
    else ranges.push(...pageRanges(view.subarray(at, at + BLOCK), block));
  }
  return ranges;
}

/** The committed bytes of one page with a checksum; none of what is not one. */
export function pageRanges(page: Buffer, block: number): CommittedRange[] {
  const magic = page.toString('latin1', 0, 8);
  if (!magic.startsWith('BYTARA') || (page.readUInt16LE(10) & 2) === 0) return [];
  const directory = page.readUInt32LE(20);
  const end = magic === 'BYTARANA' ? BLOCK : directory + page.readUInt32LE(28);
  const ranges = [
    [0, page.readUInt32LE(16)],
    [directory, end],
  ] as const;
  return ranges
    .filter(([start, end]) => start < end)
    .map(([start, end]) => ({ what: 'page', block, start: block * BLOCK + start, end: block * BLOCK + end }));
}

const FILE_HEADER_FIELDS: readonly [at: number, bytes: Field['bytes']][] = [
  [0, 8],
  [8, 4],
  [12, 4],
  [16, 8],
  [24, 4],
  [28, 4],
  [32, 8],
  [40, 8],
  [48, 8],
  [56, 8],
];
const ROOT_FIELDS: typeof FILE_HEADER_FIELDS = [
  [64, 1],
  [65, 1],
  [66, 4],
  [70, 4],
  [74, 8],
];
const DIGEST_FIELDS: typeof FILE_HEADER_FIELDS = [
  [88, 4],
  [92, 4],
  [96, 8],
  [104, 8],
  [112, 4],
  [116, 4],
  [120, 4],
  [124, 4],
];
const RECORD_FIELDS: typeof FILE_HEADER_FIELDS = [
  [0, 4],
  [4, 4],
  [8, 8],
  [16, 4],
  [20, 4],
  [24, 4],
  [28, 4],
  [120, 4],
  [160, 4],
  [164, 4],
  [168, 4],
];
const PAGE_FIELDS: typeof FILE_HEADER_FIELDS = [
  [0, 8],
  [8, 2],
  [10, 2],
  [12, 4],
  [16, 4],
  [20, 4],
  [24, 4],
  [28, 4],
  [32, 4],
  [36, 4],
  [40, 8],
  [56, 8],
];

function fieldsOf(bytes: Uint8Array, committed: readonly CommittedRange[]): Field[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = (start: number, fields: typeof FILE_HEADER_FIELDS): Field[] =>
    fields.map(([offset, bytes]) => ({ at: start + offset, bytes }));
  const fields = [...at(0, FILE_HEADER_FIELDS), ...at(12_288, FILE_HEADER_FIELDS), { at: 12_370, bytes: 4 as const }];
  fields.push(...at(0, DIGEST_FIELDS), ...at(12_288, DIGEST_FIELDS));
  for (const record of [4096, 8192]) fields.push(...at(record, RECORD_FIELDS));
  if (view.readBigUInt64LE(16) !== 0n) fields.push(...at(0, ROOT_FIELDS), ...at(12_288, ROOT_FIELDS));
  for (let block = 1; block < bytes.length / BLOCK; block++) {
    const page = block * BLOCK;
    const ranges = committed.filter((range) => range.block === block);
    if (ranges[0]?.what === 'link') fields.push({ at: page, bytes: 8 });
    else fields.push(...at(page, PAGE_FIELDS));
    // The directory: fixed slots of two u32 in V1, bytes in V2.
    const directory = ranges[1];
    const bytesEach = view.toString('latin1', page, page + 8) === 'BYTARANA' ? 4 : 1;
    for (let entry = directory?.start ?? 0; entry < (directory?.end ?? 0); entry += bytesEach) {
      fields.push({ at: entry, bytes: bytesEach });
    }
  }
  return fields;
}

/** The good files by name: V1, V2, both with free blocks between, a free list, and one with a trie. */
export function goodFiles(): GoodFile[] {
  const trie = new Draft(baseBytes('v1.part'));
  plantTrie(trie);
  const files: [string, Uint8Array][] = [
    ['v1', baseBytes('v1.part')],
    ['v2', baseBytes('v2.part')],
    ['mixed', baseBytes('mixed.part')],
    ['free', baseBytes('free.part')],
    ['trie', trie.bytes],
  ];
  return files.map(([name, bytes]) => {
    const committed = committedRanges(bytes);
    return { name, bytes, committed, fields: fieldsOf(bytes, committed) };
  });
}
