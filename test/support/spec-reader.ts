// A reader of page files that knows only what docs/format.md says of files of libdictenstein: no checksum, no flag of
// ours, none of the project's code. What it reads from our files, that program reads.

const BLOCK = 262_144;

export interface SpecNode {
  readonly ref: string;
  readonly bytes: Buffer;
}

/** The nodes of every page, in the order of blocks and slots. */
export function specNodes(file: Uint8Array): SpecNode[] {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.length);
  if (bytes.readBigUInt64LE(0) !== 0x5041_5254_0001_0000n) throw new Error('no file magic');
  if (bytes.readUInt32LE(8) > 2) throw new Error('file version');
  if (specHeaderChecksum(bytes) !== bytes.readBigUInt64LE(48)) throw new Error('file header checksum');
  const blocks = bytes.length / BLOCK;
  if (bytes.readUInt32LE(24) !== blocks) throw new Error('block count');
  const free = specFreeList(bytes);
  const nodes: SpecNode[] = [];
  for (let id = 1; id < blocks; id++) {
    const block = bytes.subarray(id * BLOCK, (id + 1) * BLOCK);
    const magic = block.toString('latin1', 0, 8);
    if (free.has(id)) continue;
    if (magic === 'BYTARANA') readV1(block, id, nodes);
    else if (magic === 'BYTARAV2') readV2(block, id, nodes);
    else if (block.readBigUInt64LE(0) !== 0n) throw new Error(`block ${id} is nothing`);
  }
  return nodes;
}

/** The nodes of one page, of any size. */
export function specBlockNodes(block: Buffer, id: number): SpecNode[] {
  const nodes: SpecNode[] = [];
  if (block.toString('latin1', 0, 8) === 'BYTARANA') readV1(block, id, nodes);
  else readV2(block, id, nodes);
  return nodes;
}

export function specHeaderChecksum(header: Buffer): bigint {
  const version = header.readUInt32LE(8);
  const ranges = [header.subarray(0, 28), header.subarray(32, 48), ...(version >= 2 ? [header.subarray(56, 64)] : [])];
  return specFnv1a64(Buffer.concat(ranges));
}

/** FNV-1a by the definition, one bigint product a byte. */
export function specFnv1a64(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}

/** Ids of the free blocks. */
export function specFreeList(bytes: Buffer): Set<number> {
  const free = new Set<number>();
  for (let id = Number(bytes.readBigUInt64LE(32) >> 40n); id !== 0;) {
    if (free.has(id)) throw new Error('the free list is a circle');
    free.add(id);
    id = Number(bytes.readBigUInt64LE(id * BLOCK) >> 40n);
  }
  return free;
}

function readV1(block: Buffer, id: number, nodes: SpecNode[]): void {
  if (block.readUInt16LE(8) !== 1) throw new Error('V1 page version');
  const count = block.readUInt32LE(12);
  for (let slot = 0; slot < count; slot++) {
    const at = block.length - 8 * (slot + 1);
    push(block, id, slot, block.readUInt32LE(at), block.readUInt32LE(at + 4), nodes);
  }
}

function readV2(block: Buffer, id: number, nodes: SpecNode[]): void {
  if (block.readUInt16LE(8) !== 2) throw new Error('V2 page version');
  if ((block.readUInt16LE(10) & 1) === 0) throw new Error('V2 page without a varint directory');
  const count = block.readUInt32LE(12);
  let at = block.readUInt32LE(20);
  const varint = (): number => {
    const first = block.readUInt8(at++);
    if (first <= 247) return first;
    const bytes = first - 247;
    if (bytes > 4) throw new Error('a varint that no offset needs');
    const value = block.readUIntLE(at, bytes);
    at += bytes;
    return value;
  };
  for (let slot = 0; slot < count; slot++) push(block, id, slot, varint(), varint(), nodes);
}

function push(block: Buffer, id: number, slot: number, offset: number, length: number, nodes: SpecNode[]): void {
  const free = block.readUInt32LE(16);
  // A lost slot reads as an empty node.
  if (offset === 0 && length === 0) return;
  if (offset < 64 || offset + length > free) throw new Error(`node ${id}:${slot} is outside the node area`);
  nodes.push({ ref: `${id}:${slot}`, bytes: block.subarray(offset, offset + length) });
}
