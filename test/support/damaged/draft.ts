import { crc32 } from 'node:zlib';
import { digestInFile, type SpecDigest, specDigest, specDigestSum } from '../spec-digest.ts';
import { specHeaderChecksum } from '../spec-reader.ts';
import type { Recipe } from '../corpus.ts';
import { applyEdit, type Edit } from './edits.ts';

/** Size of a block, which is also the offset of block 1. */
export const B = 262_144;

/**
 * A file that is being damaged. Its changes are recorded as edits. Checksums are computed from the description of the
 * format, without the project's code.
 */
export class Draft {
  readonly edits: Edit[] = [];
  bytes: Uint8Array;

  constructor(base: Uint8Array) {
    this.bytes = new Uint8Array(base);
  }

  edit(edit: Edit): void {
    this.edits.push(edit);
    this.bytes = applyEdit(this.bytes, edit);
  }

  set(at: number, bytes: Uint8Array | string): void {
    const hex = typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('hex');
    this.edit({ op: 'set', at, hex });
  }

  u16(at: number, value: number): void {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16LE(value);
    this.set(at, bytes);
  }

  u32(at: number, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    this.set(at, bytes);
  }

  u64(at: number, value: bigint): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    this.set(at, bytes);
  }

  /** Flips one bit; 0 is that of value 1. */
  flip(at: number, bit: number): void {
    this.set(at, Buffer.of(this.buffer.readUInt8(at) ^ (1 << bit)));
  }

  fill(at: number, bytes: number, hex: string): void {
    this.edit({ op: 'fill', at, bytes, hex });
  }

  zero(at: number, bytes: number): void {
    this.fill(at, bytes, '00');
  }

  readU32(at: number): number {
    return this.buffer.readUInt32LE(at);
  }

  get buffer(): Buffer {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
  }

  /** Updates the checksum of the file header, as a program without digests. */
  sealForeignHeader(): void {
    this.u64(48, specHeaderChecksum(this.buffer));
  }

  /** Updates the checksum of the file header, and the digest, if there is one, so that it belongs to this header. */
  sealHeader(): void {
    this.sealForeignHeader();
    if (this.hasDigest) this.set(88, specDigest(digestInFile(this.bytes), this.bytes));
  }

  /** Replaces the digest by one of the present header. By default, the sum is that of the present blocks. */
  sealDigest({
    sum = specDigestSum(this.bytes),
    commit = digestInFile(this.bytes).commit,
  }: Partial<SpecDigest> = {}): void {
    this.set(88, specDigest({ sum, commit }, this.bytes));
  }

  get hasDigest(): boolean {
    return this.bytes.subarray(88, 128).some((byte) => byte !== 0);
  }

  /** Updates the header copy. */
  sealCopy(): void {
    this.edit({ op: 'copy', from: 0, to: 12_288, bytes: 82 });
    this.u32(12_370, crc32(this.buffer.subarray(0, 82)));
    if (this.hasDigest) this.edit({ op: 'copy', from: 88, to: 12_376, bytes: 40 });
  }

  /** Updates the checksum of the page in a block. */
  sealPage(block: number): void {
    const page = this.buffer.subarray(block * B, (block + 1) * B);
    const header = Buffer.from(page.subarray(0, 64));
    header.writeUInt32LE(0, 24);
    const start = header.readUInt32LE(20);
    const end = header.readUInt16LE(8) === 1 ? B : start + header.readUInt32LE(28);
    const nodes = crc32(page.subarray(64, header.readUInt32LE(16)), crc32(header));
    this.u32(block * B + 24, crc32(page.subarray(start, end), nodes));
  }

  /** Appends a node to a V1 page like a program without support for checksums. */
  appendForeign(block: number, node: string): void {
    const page = block * B;
    const [count, free] = [this.readU32(page + 12), this.readU32(page + 16)];
    const slot = B - 8 * (count + 1);
    this.set(page + free, Buffer.from(node));
    this.u32(page + slot, free);
    this.u32(page + slot + 4, node.length);
    this.u32(page + 12, count + 1);
    this.u32(page + 16, free + node.length);
    this.u32(page + 20, slot);
  }
}

/** How one file of the corpus is damaged, and what verify must report. */
export interface Damage {
  readonly base: string;
  readonly description: string;
  readonly change?: (draft: Draft) => void;
  readonly journal?: { readonly base: string; readonly change?: (draft: Draft) => void };
  readonly options?: readonly string[];
  readonly expect: Recipe['expect'];
  readonly error?: string;
}

type Line = (code: string, block: number, offset: number, slot?: number) => string;

const line =
  (severity: string): Line =>
  (code, block, offset, slot) =>
    `${severity} ${code} ${slot === undefined ? block : `${block}:${slot}`} @${block * B + offset}`;

/** An expected finding: its code, block, byte offset in that block, and slot. */
export const error: Line = line('error');
export const warning: Line = line('warning');
export const info: Line = line('info');
