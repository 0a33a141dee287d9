import { join } from 'node:path';
import type { Contender } from '../contender.ts';
import { importPackage } from '../peer.ts';

// The packages of test/bench/package.json need not be there for types and lint: this is what is used of them.
interface Database {
  pragma(text: string, options?: { simple: true }): unknown;
  exec(sql: string): void;
  prepare(sql: string): Statement;
  transaction(work: (nodes: readonly Uint8Array[]) => void): (nodes: readonly Uint8Array[]) => void;
  close(): void;
}

interface Statement {
  run(node: Uint8Array): unknown;
  get(): Record<string, unknown>;
  all(): { readonly node: Uint8Array }[];
}

type OpenDatabase = new (path: string) => Database;

const PACKAGE = 'better-sqlite3';

/** WAL and synchronous=FULL: each commit is synced to the log before it is acknowledged. */
export const sqlite = (group: number): Contender => ({
  name: `better-sqlite3, ${group === 1 ? 'insert' : `transaction of ${group} inserts`}`,
  engine: 'sqlite',
  group,
  async open(sources, folder) {
    const { default: Database } = (await importPackage(sources, PACKAGE)) as { default: OpenDatabase };
    const path = join(folder, 'sqlite');
    const database = new Database(path);
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.exec('CREATE TABLE nodes (id INTEGER PRIMARY KEY, node BLOB NOT NULL)');
    const insert = database.prepare('INSERT INTO nodes (node) VALUES (?)');
    const each = (nodes: readonly Uint8Array[]): void => {
      for (const node of nodes) insert.run(node);
    };
    const together = database.transaction(each);
    return {
      facts: [factsOf(database)],
      append(nodes) {
        if (group === 1) return each(nodes);
        for (let at = 0; at < nodes.length; at += group) together(nodes.slice(at, at + group));
      },
      async readBack() {
        database.close();
        const reader = new Database(path);
        const rows = reader.prepare('SELECT node FROM nodes ORDER BY id').all();
        reader.close();
        return rows.map(({ node }) => node);
      },
    };
  },
});

function factsOf(database: Database): string {
  const settings = ['journal_mode', 'synchronous', 'wal_autocheckpoint', 'page_size'].map(
    (name) => `${name}=${String(database.pragma(name, { simple: true }))}`,
  );
  const { version } = database.prepare('SELECT sqlite_version() AS version').get();
  return `SQLite ${String(version)}: ${settings.join(', ')} (synchronous=2 is FULL)`;
}
