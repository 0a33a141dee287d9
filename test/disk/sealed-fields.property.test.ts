import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type BlockFile, MemoryBlockFile } from '../../src/disk/block-file.ts';
import { PageStoreError } from '../../src/errors.ts';
import { decodePage, recomputePageHeader } from '../../src/format/page.ts';
import { recover } from '../../src/recover/recover.ts';
import { repair, undoRepair } from '../../src/repair/repair.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { verify } from '../../src/verify/verify.ts';
import { damaged, fileWithFreeList, smallFile } from '../support/damage.ts';
import { random, text } from '../support/nodes.ts';
import { repaired } from '../support/repair.ts';
import { brief, verifyAll } from '../support/verify.ts';

// Damage behind a checksum that was computed again: commit records, the header copy, journals and undo files with fields
// of any value. The offsets are those of docs/format.md.

const B = 262_144;
const RUNS = 400;

type Field = readonly [offset: number, bytes: 2 | 4 | 8];

/** Puts a value of interest, or any other, into a field. */
function mutateField(bytes: Buffer, at: number, [offset, width]: Field, next: () => number): void {
  const values = [0, 1, 2, 3, 4, 63, 64, 512, 513, 4096, B - 1, B, B + 1, 2 ** 24 - 1, 2 ** 24, 2 ** 31 - 1, 2 ** 31];
  const any = [2 ** 32 - 1, Math.floor(next() * 2 ** 32), Math.floor(next() * 8)];
  const all = [...values, ...any];
  const value = all[Math.floor(next() * all.length)] ?? 0;
  const position = at + offset;
  if (width === 2) bytes.writeUInt16LE(value % 65_536, position);
  else if (width === 4) bytes.writeUInt32LE(value % 2 ** 32, position);
  else {
    const high = [0n, BigInt(value) << 32n, BigInt(value) << 40n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
    const wide = (high[Math.floor(next() * high.length)] ?? 0n) + BigInt(value);
    bytes.writeBigUInt64LE(BigInt.asUintN(64, wide), position);
  }
}

function mutate(bytes: Buffer, at: number, fields: readonly Field[], next: () => number): void {
  const times = 1 + Math.floor(next() * 3);
  for (let time = 0; time < times; time++) {
    mutateField(bytes, at, fields[Math.floor(next() * fields.length)] as Field, next);
  }
}

/** Refuses growth: the one thing that no damage may cause. */
class BoundedFile extends MemoryBlockFile {
  readonly #most: number;

  constructor(bytes: Uint8Array, journal?: Uint8Array) {
    super(bytes.slice());
    this.#most = bytes.length + 2 * B;
    if (journal) void this.journal.write(journal);
  }

  override async write(source: Uint8Array, position: number): Promise<void> {
    if (position + source.length > this.#most) throw new Error(`a write at ${position}: the file would grow`);
    return super.write(source, position);
  }

  override async truncate(bytes: number): Promise<void> {
    if (bytes > this.#most) throw new Error(`the file would have ${bytes} bytes`);
    return super.truncate(bytes);
  }
}

/** @returns the code of a PageStoreError, which is the only error that may come */
async function codeOf(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof PageStoreError) return error.code;
    throw error;
  }
}

async function appendOne(file: BlockFile): Promise<void> {
  const store = await PageStore.open(file);
  await store.append(text('one more'));
  await store.close();
}

async function readAll(file: BlockFile): Promise<number> {
  const store = await PageStore.open(file, { access: 'read' });
  let nodes = 0;
  for await (const _ of store.nodes()) nodes++;
  await store.close();
  return nodes;
}

/** Everything that a user would try. @returns what a writer said, and what verify found before it */
async function tryAll(bytes: Uint8Array, journal?: Uint8Array): Promise<{ code: string | undefined; found: string[] }> {
  const { findings } = await verifyAll(new BoundedFile(bytes, journal));
  const found = brief(findings.filter(({ severity }) => severity === 'error'));
  await codeOf(() => readAll(new BoundedFile(bytes, journal)));
  await codeOf(() => recover(new BoundedFile(bytes, journal), new MemoryBlockFile()));
  const undo = { create: async () => new MemoryBlockFile(), remove: async () => undefined };
  await codeOf(() => repair(new BoundedFile(bytes, journal), { undo }));
  const written = new BoundedFile(bytes, journal);
  const code = await codeOf(() => appendOne(written));
  expect(written.bytes.length).toBeLessThanOrEqual(bytes.length + B);
  // What verify finds, a writer refuses; and it leaves no damage where there was none.
  if (found.length === 0) {
    expect({
      code,
      found: brief((await verifyAll(written)).findings.filter((each) => each.severity === 'error')),
    }).toEqual({ code: undefined, found: [] });
  }
  return { code, found };
}

const RECORD_FIELDS: readonly Field[] = [
  ...[8, 32, 40, 48, 56, 96, 112, 128, 136, 144, 152].map((offset): Field => [offset, 8]),
  ...[16, 20, 24, 28, 44, 48, 52, 104, 108, 120, 124, 160, 164].map((offset): Field => [offset, 4]),
];

function sealRecord(file: Buffer, at: number): void {
  file.writeUInt32LE(crc32(file.subarray(at, at + 168)), at + 168);
}

/** The header checksum of docs/format.md: FNV-1a, 64 bit. */
function sealHeader(file: Buffer, at: number): void {
  let hash = 0xcbf29ce484222325n;
  for (let byte = 0; byte < 64; byte++) {
    if ((byte >= 28 && byte < 32) || (byte >= 48 && byte < 56)) continue;
    hash = BigInt.asUintN(64, (hash ^ BigInt(file[at + byte] ?? 0)) * 0x100000001b3n);
  }
  file.writeBigUInt64LE(hash, at + 48);
}

/** Files with commit records, and at least one record in each place. */
const FILES: readonly [string, Uint8Array][] = [
  ['v1', await filledFile('v1')],
  ['v2', await filledFile('v2')],
  ['a free list', await fileWithFreeList()],
];

async function filledFile(pageFormat: 'v1' | 'v2'): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  for (const each of ['a', 'b', 'c']) await store.append(text(each));
  await store.appendMany([new Uint8Array(200_000), new Uint8Array(200_000)]);
  await store.close();
  return file.bytes.slice();
}

describe.each(FILES)('fields of any value under a right checksum, %s:', (_, good) => {
  test(
    'a commit record changes nothing that it should not, and an impossible one is refused',
    { timeout: 120_000 },
    async () => {
      const next = random(7);
      const codes = new Map<string, number>();
      for (let run = 0; run < RUNS; run++) {
        const file = Buffer.from(good);
        const at = next() < 0.5 ? 4096 : 8192;
        mutate(file, at, RECORD_FIELDS, next);
        if (next() < 0.5) sealHeader(file, at + 96);
        sealRecord(file, at);
        const { code = 'none' } = await tryAll(file);
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
      expect([...codes.keys()].toSorted()).toEqual(['COMMIT_RECORD', 'none']);
    },
  );

  test('a header copy is not believed more than the file', { timeout: 120_000 }, async () => {
    const next = random(8);
    for (let run = 0; run < RUNS / 4; run++) {
      const file = Buffer.from(good);
      mutate(file, 12_288, [...[0, 16, 32, 40, 56].map((at): Field => [at, 8]), [8, 4], [24, 4], [28, 4]], next);
      sealHeader(file, 12_288);
      file.writeUInt32LE(crc32(file.subarray(12_288, 12_288 + 82)), 12_288 + 82);
      if (next() < 0.7) file.fill(0xab, 0, 64);
      if (next() < 0.5) file.fill(0, 4096, 8704);
      await tryAll(file);
    }
  });

  test('the journal of an update is not written outside the file', { timeout: 120_000 }, async () => {
    const next = random(9);
    for (let run = 0; run < RUNS / 2; run++) {
      const file = Buffer.from(good);
      const journal = updateJournal(file);
      const empty = next() < 0.5;
      if (empty) {
        // An empty page as the image, which fits a block of zeros as an interrupted update.
        const head = Buffer.alloc(B);
        head.write('BYTARANA');
        head.writeUInt16LE(1, 8);
        head.writeUInt32LE(64, 16);
        head.writeUInt32LE(B, 20);
        head.copy(journal, 512);
      }
      mutate(
        journal,
        0,
        [8, 12, 16, 20].map((offset): Field => [offset, 4]),
        next,
      );
      if (empty) journal.writeUInt32LE(crc32(Buffer.alloc(64)), 20);
      journal.writeUInt32LE(crc32(journal.subarray(512)), 24);
      journal.writeUInt32LE(crc32(journal.subarray(0, 28)), 28);
      await tryAll(file, journal);
    }
  });

  test('the journal of a repair is not written outside the file', { timeout: 120_000 }, async () => {
    const next = random(10);
    for (let run = 0; run < RUNS / 2; run++) {
      const file = Buffer.from(good);
      const places = [B + 100_000, 2 * B + 100_000 + Math.floor(next() * 1000)];
      const journal = patchJournal(file, places, next);
      await tryAll(file, journal);
    }
  });
});

/** The journal of an update of the page in block 1 to itself, or to other bytes in its node area. */
function updateJournal(file: Buffer): Buffer {
  const journal = Buffer.alloc(512 + B);
  journal.write('APJL');
  journal.writeUInt32LE(1, 4);
  journal.writeUInt32LE(1, 8);
  journal.writeUInt32LE(64, 12);
  journal.writeUInt32LE(65, 16);
  const block = new Uint8Array(file.subarray(B, 2 * B));
  const page = decodePage(block);
  journal.writeUInt32LE(page ? crc32(recomputePageHeader(page)) : 0, 20);
  file.copy(journal, 512, B, 2 * B);
  journal.writeUInt32LE(crc32(journal.subarray(512)), 24);
  return journal;
}

function patchJournal(file: Buffer, places: readonly number[], next: () => number): Buffer {
  const patches = places.map((place) => {
    const patch = Buffer.alloc(14);
    patch.writeBigUInt64LE(BigInt(place));
    patch.writeUInt16LE(1, 8);
    patch[12] = file[place] ?? 0;
    if (next() < 0.5)
      mutate(
        patch,
        0,
        [
          [0, 8],
          [8, 2],
          [10, 2],
        ],
        next,
      );
    return patch;
  });
  const journal = Buffer.concat([Buffer.alloc(20), ...patches]);
  journal.write('APJP');
  journal.writeUInt32LE(1, 4);
  journal.writeUInt32LE(patches.length, 8);
  if (next() < 0.2) mutateField(journal, 0, [8, 4], next);
  journal.writeUInt32LE(crc32(journal.subarray(20)), 12);
  journal.writeUInt32LE(crc32(journal.subarray(0, 16)), 16);
  return journal;
}

test.each(['v1', 'v2'] as const)(
  'an undo file with any fields is refused or undone, %s',
  { timeout: 120_000 },
  async (format) => {
    const broken = damaged(await smallFile(format), (copy) => {
      copy[B + 100] = (copy[B + 100] ?? 0) ^ 4;
      copy[24] = 77;
    });
    const { bytes, undo } = await repaired(broken);
    if (undo === undefined) throw new Error('nothing was repaired');
    const next = random(11);
    const codes = new Set<string>();
    const patchAt: number[] = [];
    for (let at = 32; at < undo.length; at += 12 + 2 * Buffer.from(undo).readUInt16LE(at + 8)) patchAt.push(at);
    for (let run = 0; run < RUNS; run++) {
      const file = Buffer.from(undo);
      const at = patchAt[Math.floor(next() * patchAt.length)] ?? 32;
      if (next() < 0.6)
        mutate(
          file,
          at,
          [
            [0, 8],
            [8, 2],
            [10, 2],
          ],
          next,
        );
      else
        mutate(
          file,
          0,
          [
            [8, 8],
            [16, 4],
            [20, 4],
          ],
          next,
        );
      file.writeUInt32LE(crc32(file.subarray(32)), 24);
      file.writeUInt32LE(crc32(file.subarray(0, 28)), 28);
      const target = new BoundedFile(bytes);
      const code = await codeOf(() => undoRepair(target, new MemoryBlockFile(file)));
      if (code !== undefined) expect(Buffer.compare(target.bytes, bytes)).toBe(0);
      codes.add(code ?? 'undone');
      await verify(target);
    }
    expect([...codes].toSorted()).toEqual(['NOT_AN_UNDO_FILE', 'UNDO_MISMATCH', 'undone']);
  },
);

test('a commit record of a block that no file can have does not make the next append grow the file', async () => {
  const file = Buffer.from(await smallFile('v1'));
  const at = file.readBigUInt64LE(4096 + 8) > file.readBigUInt64LE(8192 + 8) ? 4096 : 8192;
  file.writeUInt32LE(0x8000_0000, at + 16);
  file.fill(0, at + 32, at + 96);
  sealRecord(file, at);
  const { code, found } = await tryAll(file);
  expect({ code, found }).toEqual({ code: 'COMMIT_RECORD', found: ['error COMMIT_RECORD 0'] });
});

test.each([
  ['a block after the end of the file', (journal: Buffer) => journal.writeUInt32LE(9, 8)],
  ['block 0', (journal: Buffer) => journal.writeUInt32LE(0, 8)],
  ['a range that begins in the page header', (journal: Buffer) => journal.writeUInt32LE(8, 12)],
  ['a range that ends before it begins', (journal: Buffer) => journal.writeUInt32LE(B, 12)],
  ['a range that ends after the block', (journal: Buffer) => journal.writeUInt32LE(B + 1, 16)],
])('the journal of an update of %s is a finding, and writers refuse the file', async (_, change) => {
  const file = Buffer.from(await smallFile('v1'));
  const journal = updateJournal(file);
  change(journal);
  journal.writeUInt32LE(crc32(journal.subarray(0, 28)), 28);
  expect(await tryAll(file, journal)).toEqual({ code: 'JOURNAL_MISMATCH', found: ['error JOURNAL_MISMATCH 0'] });
});

test('a complete journal with bytes after it, or with more or fewer patches than it counts, is not removed as incomplete', async () => {
  const file = Buffer.from(await smallFile('v1'));
  const longer = Buffer.concat([updateJournal(file), Buffer.from('\n')]);
  longer.writeUInt32LE(crc32(longer.subarray(0, 28)), 28);
  const counted = patchJournal(file, [B + 100_000], () => 0.9);
  counted.writeUInt32LE(2, 8);
  counted.writeUInt32LE(crc32(counted.subarray(0, 16)), 16);
  for (const journal of [longer, counted]) {
    expect(await tryAll(file, journal)).toEqual({ code: 'JOURNAL_MISMATCH', found: ['error JOURNAL_MISMATCH 0'] });
  }
});
