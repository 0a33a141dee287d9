import { closeSync, fdatasyncSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Contender } from '../contender.ts';
import { NODE_BYTES } from '../payload.ts';

/** What one write and one sync cost, and nothing else: no durable append is faster. */
export const bareSync: Contender = {
  name: 'write + fdatasync in place, synchronous',
  engine: 'bare',
  group: 1,
  async open(_, folder, capacity) {
    const path = writtenFile(folder, capacity);
    const file = openSync(path, 'r+');
    let position = 0;
    return {
      append(nodes) {
        for (const node of nodes) {
          writeSync(file, node, 0, NODE_BYTES, position);
          fdatasyncSync(file);
          position += NODE_BYTES;
        }
      },
      async readBack() {
        closeSync(file);
        return nodesIn(path, position);
      },
    };
  },
};

/** The same through promises: what the way through the thread pool and back adds, twice. */
export const bareAsync: Contender = {
  name: 'write + fdatasync in place, FileHandle',
  engine: 'bare',
  group: 1,
  async open(_, folder, capacity) {
    const path = writtenFile(folder, capacity);
    const file = await open(path, 'r+');
    let position = 0;
    return {
      async append(nodes) {
        for (const node of nodes) {
          await file.write(node, 0, NODE_BYTES, position);
          await file.datasync();
          position += NODE_BYTES;
        }
      },
      async readBack() {
        await file.close();
        return nodesIn(path, position);
      },
    };
  },
};

/** A file whose every byte has been written and synced, so that overwriting one changes no metadata but its time. */
function writtenFile(folder: string, capacity: number): string {
  const path = join(folder, 'bare');
  const file = openSync(path, 'w');
  writeSync(file, Buffer.alloc(capacity * NODE_BYTES, 0xff));
  fsyncSync(file);
  closeSync(file);
  return path;
}

function nodesIn(path: string, end: number): Uint8Array[] {
  const bytes = readFileSync(path);
  return Array.from({ length: end / NODE_BYTES }, (_, index) =>
    bytes.subarray(NODE_BYTES * index).subarray(0, NODE_BYTES),
  );
}
