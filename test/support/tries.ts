import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { ROOT_DESCRIPTOR } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, encodePointer, ROOT_DESCRIPTOR_OFFSET } from '../../src/format/layout.ts';
import { create, open } from '../../src/store/page-store.ts';
import { openTrie, type TermsOptions, type Trie } from '../../src/trie/trie.ts';
import { FIXTURES } from './files.ts';

const TRIES = join(FIXTURES, 'tries');

export type TrieFolder = 'real' | 'hand';

/** Names of the files of libdictenstein, or of those made by hand. */
export function trieNames(folder: TrieFolder): string[] {
  const names = readdirSync(join(TRIES, folder)).filter((name) => name.endsWith('.part.gz'));
  return names.map((name) => name.slice(0, -'.part.gz'.length)).toSorted();
}

export function trieBytes(folder: TrieFolder, name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(join(TRIES, folder, `${name}.part.gz`))));
}

/** The terms that the Rust crate lists for a file: hex, a tab, the value in hex or `-`. */
export function realTerms(name: string): string[] {
  const text = gunzipSync(readFileSync(join(TRIES, 'real', `${name}.terms.gz`))).toString();
  return text.split('\n').slice(0, -1);
}

/** A memory file that notes which blocks were read whole. */
export class ReadBlocks extends MemoryBlockFile {
  readonly blocks = new Set<number>();

  override async read(target: Uint8Array, position: number): Promise<number> {
    if (target.length === BLOCK_BYTES) this.blocks.add(position / BLOCK_BYTES);
    return super.read(target, position);
  }
}

export async function withTrie<T>(file: Uint8Array | MemoryBlockFile, work: (trie: Trie) => Promise<T>): Promise<T> {
  const blockFile = file instanceof MemoryBlockFile ? file : new MemoryBlockFile(file);
  await using store = await open(blockFile, { access: 'read' });
  // Without await, the store would be closed first.
  return await work(await openTrie(store));
}

/** The terms of a file as {@link realTerms} has them, at most `limit`. */
export async function listTerms(file: Uint8Array, options: TermsOptions = {}, limit = Infinity): Promise<string[]> {
  return withTrie(file, async (trie) => {
    const lines: string[] = [];
    for await (const { term, value } of trie.terms(options)) {
      if (lines.length >= limit) break;
      lines.push(`${hexOf(term)}\t${value === undefined ? '-' : hexOf(value)}`);
    }
    return lines;
  });
}

export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export interface TestNode {
  readonly isFinal?: boolean;
  readonly prefix?: string;
  /** Keys with the slots of their children, all in block 1. */
  readonly children?: Readonly<Record<string, number>>;
}

/** A record of version 2 with the long form of relative pointers; a Node4, or a Node16 for more children. */
export function artRecord({ isFinal = false, prefix = '', children = {} }: TestNode): Uint8Array {
  const keys = Object.keys(children);
  const size = keys.length > 4 ? 16 : 4;
  const header = Buffer.alloc(16);
  header.write('ART\0', 'latin1');
  header.set([2, size, isFinal ? 1 : 0, 0x80, keys.length, 0, prefix.length], 4);
  const keyBytes = Buffer.alloc(size);
  keyBytes.write(keys.join(''), 'latin1');
  const pointers = Object.values(children).map((slot) => {
    const pointer = Buffer.alloc(9);
    pointer[0] = 1;
    pointer.writeUInt32LE(slot, 5);
    return pointer;
  });
  const prefixBytes = Buffer.alloc(prefix === '' ? 0 : 12);
  prefixBytes.write(prefix, 'latin1');
  return Buffer.concat([header, prefixBytes, keyBytes, ...pointers, Buffer.alloc(keys.length, 4)]);
}

/** A page file with these records in block 1, and a root descriptor that names the last one. */
export async function trieOf(
  records: readonly Uint8Array[],
  root: Partial<{ isFinal: number }> = {},
): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await create(file);
  await store.appendMany(records);
  await store.close();
  const bytes = file.bytes.slice();
  new DataView(bytes.buffer).setBigUint64(16, encodePointer(0, ROOT_DESCRIPTOR_OFFSET, 4), true);
  const rootRecord = encodePointer(1, records.length - 1, 4);
  ROOT_DESCRIPTOR.write(
    { rootType: 2, isFinal: 0, termCount: 0, arenaCount: 1, rootRecord, ...root },
    bytes,
    ROOT_DESCRIPTOR_OFFSET,
  );
  return bytes;
}
