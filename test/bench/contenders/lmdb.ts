import { join } from 'node:path';
import { type Contender, inGroups } from '../contender.ts';
import { importPackage } from '../peer.ts';

// The packages of test/bench/package.json need not be there for types and lint: this is what is used of them.
interface Database {
  put(key: number, value: Uint8Array): Promise<boolean>;
  transactionSync(work: () => void): void;
  /** Resolves when all earlier writes are flushed to the device. */
  readonly flushed: PromiseLike<unknown>;
  getRange(): Iterable<{ readonly value: Uint8Array }>;
  close(): Promise<void>;
}

interface Lmdb {
  open(path: string, options: object): Database;
}

const PACKAGE = 'lmdb';

/** Keys and values as they are: nothing is encoded but a 4-byte key. All that concerns syncing is as it comes. */
const OPTIONS = { encoding: 'binary', keyEncoding: 'uint32' };

/**
 * `transactionSync` is "flushed to disk before returning" by its documentation; `putSync` asks for a commit that
 * may return before that, and so is not used.
 */
export const lmdbSync = (group: number): Contender => ({
  ...contender(group, async (database, first, nodes) => {
    if (group === 1) {
      for (const [index, node] of nodes.entries()) {
        database.transactionSync(() => void database.put(first + index, node));
      }
      return;
    }
    for (let at = 0; at < nodes.length; at += group) {
      database.transactionSync(() => {
        for (let index = at; index < at + group; index++) void database.put(first + index, nodes[index]!);
      });
    }
  }),
  name: `lmdb, transactionSync of ${group === 1 ? 'a put' : `${group} puts`}`,
});

/** The documented way to wait: puts of one turn of the event loop share a transaction, `flushed` is their durability. */
export const lmdbAsync = (group: number): Contender => ({
  ...contender(group, async (database, first, nodes) => {
    let key = first;
    await inGroups(nodes, group, async (some) => {
      for (const node of some) void database.put(key++, node);
      await database.flushed;
    });
  }),
  name: `lmdb, ${group === 1 ? 'put' : `${group} puts`} + await flushed`,
});

function contender(
  group: number,
  append: (database: Database, firstKey: number, nodes: readonly Uint8Array[]) => Promise<void>,
): Omit<Contender, 'name'> {
  return {
    engine: 'lmdb',
    group,
    async open(sources, folder) {
      const lmdb = (await importPackage(sources, PACKAGE)) as Lmdb;
      const path = join(folder, 'lmdb');
      const database = lmdb.open(path, OPTIONS);
      let count = 0;
      return {
        async append(nodes) {
          await append(database, count, nodes);
          count += nodes.length;
        },
        async readBack() {
          await database.close();
          const reader = lmdb.open(path, OPTIONS);
          const nodes = Array.from(reader.getRange(), ({ value }) => Uint8Array.from(value));
          await reader.close();
          return nodes;
        },
      };
    },
  };
}
