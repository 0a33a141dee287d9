import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Peer } from '../peer.ts';

const BLOCK_BYTES = 262_144;

/** What has to be done at least, and nothing else: no header, no slot, no record, no damage that is noticed. */
export const bare: Peer = {
  id: 'bare',
  engine: 'bare',
  data: 'bare',
  appends: [
    {
      name: 'bare: copy of each node into 256 KiB, write, fdatasync',
      async open(_, folder, { bytes, starts, count }) {
        const file = openSync(join(folder, 'bare'), 'w');
        const block = Buffer.alloc(BLOCK_BYTES);
        return {
          append() {
            let used = 0;
            for (let node = 0; node < count; node++) {
              const [start, end] = [starts[node]!, starts[node + 1]!];
              if (used + end - start > BLOCK_BYTES) {
                writeSync(file, block, 0, used);
                used = 0;
              }
              if (end - start > 48) bytes.copy(block, used, start, end);
              else for (let at = start, to = used; at < end; at++) block[to++] = bytes[at]!;
              used += end - start;
            }
            writeSync(file, block, 0, used);
            fdatasyncSync(file);
          },
          close: () => closeSync(file),
        };
      },
    },
  ],
  reads: [],
  scans: [],
};
