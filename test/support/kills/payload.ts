import { random } from '../nodes.ts';

/** What a node says of itself in its first bytes: which stream it was sent in, as the how-manieth, and how often it was updated. */
export interface Payload {
  readonly stream: number;
  readonly index: number;
  readonly version: number;
}

const HEAD_BYTES = 10;
const NOISE_BYTES = 131_072;

const noise = Buffer.alloc(NOISE_BYTES);
const next = random(99);
for (let at = 0; at < NOISE_BYTES; at += 4) noise.writeUInt32LE(Math.floor(next() * 2 ** 32), at);

function hash(a: number, b: number): number {
  let state = Math.imul(a, 0x9e3779b1) ^ Math.imul(b + 1, 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
  state = Math.imul(state ^ (state >>> 12), 0x297a2d39);
  return (state ^ (state >>> 15)) >>> 0;
}

/** Most nodes are short; one in a hundred fills a good part of a page. */
function lengthOf(stream: number, index: number): number {
  const value = hash(stream, index);
  const kind = value % 100;
  const size = value >>> 8;
  if (kind < 70) return HEAD_BYTES + (size % 60);
  return HEAD_BYTES + (kind < 99 ? size % 700 : size % 30_000);
}

function bodyStart({ stream, index, version }: Payload): number {
  return hash(stream ^ (version * 7919), index) % (NOISE_BYTES - 30_000);
}

/** The bytes of a node. Its length does not depend on the version. */
export function nodeFor(payload: Payload): Buffer {
  const node = Buffer.allocUnsafe(lengthOf(payload.stream, payload.index));
  node.writeUInt32LE(payload.stream, 0);
  node.writeUInt32LE(payload.index, 4);
  node.writeUInt16LE(payload.version, 8);
  noise.copy(node, HEAD_BYTES, bodyStart(payload));
  return node;
}

/** What a node says of itself, or undefined where any byte of it is not as {@link nodeFor} made it. */
export function payloadOf(bytes: Uint8Array): Payload | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const node = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const payload = { stream: node.readUInt32LE(0), index: node.readUInt32LE(4), version: node.readUInt16LE(8) };
  if (node.length !== lengthOf(payload.stream, payload.index)) return undefined;
  const start = bodyStart(payload);
  return node.compare(noise, start, start + node.length - HEAD_BYTES, HEAD_BYTES) === 0 ? payload : undefined;
}

/** Frames for `append --framing u32`: the nodes of a stream from `first` on, at least so many bytes of them. */
export function frames(stream: number, first: number, bytes: number): { readonly data: Buffer; readonly end: number } {
  const parts: Buffer[] = [];
  let made = 0;
  let index = first;
  while (made < bytes) {
    const node = nodeFor({ stream, index: index++, version: 0 });
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32LE(node.length);
    parts.push(length, node);
    made += 4 + node.length;
  }
  return { data: Buffer.concat(parts), end: index };
}
