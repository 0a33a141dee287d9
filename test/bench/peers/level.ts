import { join } from 'node:path';
import { type AppendWay, importPackage, type Peer, type Sources } from '../peer.ts';
import { nodeViews } from '../workload.ts';

// The packages of test/bench/package.json need not be there for types and lint: this is what is used of them.
interface Database {
  open(): Promise<void>;
  batch(): Batch;
  getSync(key: Buffer): Buffer;
  values(options: object): { nextv(size: number): Promise<Buffer[]>; close(): Promise<void> };
  close(): Promise<void>;
}

interface Batch {
  put(key: Buffer, value: Buffer): Batch;
  write(options: { sync: boolean }): Promise<void>;
}

type OpenDatabase = new (path: string, options: object) => Database;

const PACKAGE = 'classic-level';

/** The nodes cannot be compressed, so nothing tries. The cache holds all of the default workload. */
const OPTIONS = { keyEncoding: 'buffer', valueEncoding: 'buffer', compression: false, cacheSize: 128 * 2 ** 20 };

/** Batches of 1,000 are slower. */
const BATCH_NODES = 10_000;

const APPEND: AppendWay = {
  name: `classic-level, chained batches of ${BATCH_NODES}`,
  async open(sources, folder, workload) {
    const database = await open(sources, folder);
    const [nodes, keys] = [nodeViews(workload), keysOf(workload.count)];
    return {
      async append() {
        for (let at = 0; at < nodes.length;) {
          const end = Math.min(at + BATCH_NODES, nodes.length);
          const batch = database.batch();
          for (; at < end; at++) batch.put(keys[at]!, nodes[at]!);
          // The last sync is taken to cover all: that is more than it promises of logs that were full before.
          await batch.write({ sync: at === nodes.length });
        }
      },
      close: async () => database.close(),
    };
  },
};

export const level: Peer = {
  id: 'level',
  engine: 'level',
  package: PACKAGE,
  data: 'level',
  appends: [APPEND],
  reads: [
    {
      name: 'classic-level, getSync',
      kind: 'copy',
      async prepare(sources, folder) {
        // Loads the package: the clock is for opening the file.
        await importPackage(sources, PACKAGE);
        const key = Buffer.alloc(4);
        return {
          async open() {
            const database = await open(sources, folder);
            return {
              read(order, taker) {
                for (const number of order) {
                  key.writeUInt32BE(number);
                  const node = database.getSync(key);
                  taker.take(node, 0, node.length);
                }
              },
              close: async () => database.close(),
            };
          },
        };
      },
    },
  ],
  scans: [
    {
      name: 'classic-level, values().nextv(1000)',
      kind: 'objects',
      async open(sources, folder) {
        const database = await open(sources, folder);
        return {
          async scan(taker) {
            const iterator = database.values({ highWaterMarkBytes: 2 ** 20 });
            for (;;) {
              const nodes = await iterator.nextv(1000);
              if (nodes.length === 0) break;
              for (const node of nodes) taker.take(node, 0, node.length);
            }
            await iterator.close();
          },
          close: async () => database.close(),
        };
      },
    },
  ],
};

async function open(sources: Sources, folder: string): Promise<Database> {
  const { ClassicLevel } = (await importPackage(sources, PACKAGE)) as { ClassicLevel: OpenDatabase };
  const database = new ClassicLevel(join(folder, 'level'), OPTIONS);
  await database.open();
  return database;
}

/** Keys that are in order as bytes. */
function keysOf(count: number): Buffer[] {
  const bytes = Buffer.allocUnsafeSlow(4 * count);
  return Array.from({ length: count }, (_, number) => {
    bytes.writeUInt32BE(number, 4 * number);
    return bytes.subarray(4 * number, 4 * number + 4);
  });
}
