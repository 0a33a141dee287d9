import { join } from 'node:path';
import { importPackage, type Peer, type Sources } from '../peer.ts';
import { nodeViews } from '../workload.ts';

// The packages of test/bench/package.json need not be there for types and lint: this is what is used of them.
interface Database {
  pragma(text: string, options?: { simple: true }): unknown;
  exec(sql: string): void;
  prepare(sql: string): Statement;
  transaction(work: () => void): () => void;
  close(): void;
}

interface Statement {
  run(node: Uint8Array): unknown;
  /** Gives the first column alone, with no object around it. */
  pluck(): Statement;
  get(id: number): Buffer;
  iterate(): Iterable<Buffer>;
}

type OpenDatabase = new (path: string, options: object) => Database;

export const sqlite: Peer = {
  id: 'sqlite',
  engine: 'sqlite',
  package: 'better-sqlite3',
  data: 'sqlite',
  appends: [
    {
      name: 'better-sqlite3, transaction of inserts, WAL, FULL',
      async open(sources, folder, workload) {
        const database = await open(sources, folder);
        database.pragma('journal_mode = WAL');
        database.pragma('synchronous = FULL');
        database.exec('CREATE TABLE nodes (id INTEGER PRIMARY KEY, node BLOB NOT NULL)');
        const insert = database.prepare('INSERT INTO nodes (node) VALUES (?)');
        const nodes = nodeViews(workload);
        const append = database.transaction(() => {
          for (const node of nodes) insert.run(node);
        });
        return { append, close: () => database.close() };
      },
    },
  ],
  reads: [
    {
      name: 'better-sqlite3, get in one transaction',
      kind: 'copy',
      async prepare(sources, folder) {
        // Loads the package and what is native of it: the clock is for opening the file.
        (await load(sources, ':memory:')).close();
        return {
          async open() {
            const database = await open(sources, folder, { readonly: true });
            const select = database.prepare('SELECT node FROM nodes WHERE id = ?').pluck();
            // Outside of a transaction each read takes and leaves a lock, which makes it half as fast.
            database.exec('BEGIN');
            return {
              read(order, taker) {
                for (const number of order) {
                  const node = select.get(number + 1);
                  taker.take(node, 0, node.length);
                }
              },
              close: () => database.close(),
            };
          },
        };
      },
    },
  ],
  scans: [
    {
      name: 'better-sqlite3, iterate',
      kind: 'objects',
      async open(sources, folder) {
        const database = await open(sources, folder, { readonly: true });
        const select = database.prepare('SELECT node FROM nodes ORDER BY id').pluck();
        return {
          scan(taker) {
            for (const node of select.iterate()) taker.take(node, 0, node.length);
          },
          close: () => database.close(),
        };
      },
    },
  ],
  async check(sources, folder) {
    const database = await open(sources, folder, { readonly: true });
    return {
      path: join(folder, 'sqlite'),
      check() {
        const found = database.pragma('integrity_check', { simple: true });
        if (found !== 'ok') throw new Error(`integrity_check: ${String(found)}`);
      },
    };
  },
};

async function open(sources: Sources, folder: string, options: object = {}): Promise<Database> {
  const database = await load(sources, join(folder, 'sqlite'), options);
  // Enough for all of the default workload; what it comes with is 16 MB.
  database.pragma('cache_size = -131072');
  return database;
}

async function load(sources: Sources, path: string, options: object = {}): Promise<Database> {
  const { default: Database } = (await importPackage(sources, 'better-sqlite3')) as { default: OpenDatabase };
  return new Database(path, options);
}
