import { fstatSync, read, type Stats } from 'node:fs';
import { promisify } from 'node:util';

import { PageStoreError } from '../errors.ts';
import { type ByteSource, ChunkSource } from './byte-source.ts';
import { PipeSource } from './pipe-source.ts';

/** Standard input, opened when it is first read: a command that does not read it must not touch it. */
export class StandardInput implements ByteSource {
  #source: ByteSource | undefined;

  async read(target: Uint8Array): Promise<number> {
    this.#source ??= openStandardInput();
    return this.#source.read(target);
  }
}

function openStandardInput(): ByteSource {
  const stats = inputStats();
  if (stats?.isDirectory() === true)
    throw new PageStoreError('IO', 'standard input is a directory (EISDIR)', { errno: 'EISDIR' });
  if (stats?.isFile() === true) return standardFile;
  if (stats?.isFIFO() === true || stats?.isSocket() === true) return new PipeSource(async () => 0);
  return new ChunkSource(process.stdin as AsyncIterable<Uint8Array>);
}

const readDescriptor = promisify(read);

const standardFile: ByteSource = {
  async read(target) {
    return (await readDescriptor(0, target, 0, target.length, null)).bytesRead;
  },
};

/** How many bytes standard input has, where it is a file. */
export function standardInputBytes(): number | undefined {
  const stats = inputStats();
  return stats?.isFile() === true ? stats.size : undefined;
}

function inputStats(): Stats | undefined {
  try {
    return fstatSync(0);
  } catch {
    return undefined; // closed: reading it will say so
  }
}
