import { join } from 'node:path';
import type { AppendWay, Peer, ReadWay, Sources } from '../peer.ts';
import { importPackage } from '../peer.ts';
import { nodeViews } from '../workload.ts';

// The packages of test/bench/package.json need not be there for types and lint: this is what is used of them.
interface Database {
  put(key: number, value: Uint8Array): Promise<boolean>;
  putSync(key: number, value: Uint8Array, options: object): void;
  transactionSync(work: () => void): void;
  /** Resolves when all earlier writes are flushed to the device. */
  readonly flushed: PromiseLike<unknown>;
  getBinary(key: number): Buffer;
  getBinaryFast(key: number): Buffer;
  getRange(options: object): Iterable<{ readonly value: Buffer }>;
  close(): Promise<void>;
}

/** Nothing is encoded but a key of four bytes, and no memory is zeroed. All that concerns syncing is as it comes. */
const OPTIONS = { encoding: 'binary', keyEncoding: 'uint32', noMemInit: true };

export const lmdb: Peer = {
  id: 'lmdb',
  engine: 'lmdb',
  package: 'lmdb',
  data: 'lmdb',
  appends: [
    // Keys that ascend may be put at the end of the tree without a search.
    appendWay('transactionSync of putSync, append', async (database, nodes) => {
      database.transactionSync(() => {
        for (let key = 0; key < nodes.length; key++) database.putSync(key, nodes[key]!, { append: true });
      });
    }),
    // A thread of its own takes the puts while more are made.
    appendWay('put, await flushed', async (database, nodes) => {
      for (let key = 0; key < nodes.length; key++) void database.put(key, nodes[key]!);
      await database.flushed;
    }),
  ],
  reads: [
    readWay('getBinary', 'copy', (database, key) => database.getBinary(key)),
    readWay('getBinaryFast', 'view', (database, key) => database.getBinaryFast(key)),
  ],
  scans: [
    {
      name: 'lmdb, getRange',
      kind: 'objects',
      async open(sources, folder) {
        const database = await open(sources, folder, { readOnly: true });
        return {
          scan(taker) {
            for (const { value } of database.getRange({ snapshot: false })) taker.take(value, 0, value.length);
          },
          close: async () => database.close(),
        };
      },
    },
  ],
};

async function open(sources: Sources, folder: string, options: object = {}): Promise<Database> {
  const lmdb = (await importPackage(sources, 'lmdb')) as { open(path: string, options: object): Database };
  return lmdb.open(join(folder, 'lmdb'), { ...OPTIONS, ...options });
}

function appendWay(name: string, append: (database: Database, nodes: readonly Buffer[]) => Promise<void>): AppendWay {
  return {
    name: `lmdb, ${name}`,
    async open(sources, folder, workload) {
      const database = await open(sources, folder);
      const nodes = nodeViews(workload);
      return { append: async () => append(database, nodes), close: async () => database.close() };
    },
  };
}

function readWay(name: string, kind: ReadWay['kind'], get: (database: Database, key: number) => Buffer): ReadWay {
  return {
    name: `lmdb, ${name}`,
    kind,
    async prepare(sources, folder) {
      // Loads the package: the clock is for opening the file.
      await importPackage(sources, 'lmdb');
      return {
        async open() {
          const database = await open(sources, folder, { readOnly: true });
          return {
            read(order, taker) {
              for (const number of order) {
                const node = get(database, number);
                taker.take(node, 0, node.length);
              }
            },
            close: async () => database.close(),
          };
        },
      };
    },
  };
}
