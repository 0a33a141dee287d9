import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type * as Library from '../../../src/index.ts';
import { bytesOf, type Course, gigabytesPerSecond } from '../course.ts';
import { type Entrant, race } from '../race.ts';
import type { Measure } from '../result.ts';
import { runTool } from '../run-program.ts';
import { makeWorkload } from '../workload.ts';

const NAME = 'pages.part';

const BARE = 'bare: read 256 KiB into one buffer, crc32';

export async function verify(course: Course): Promise<Measure> {
  const folder = await verifiedFile(course);
  const path = join(folder, NAME);
  const gigabytes = bytesOf(path) / 1e9;
  const entrants: Entrant[] = [
    course.lasting(
      { name: 'artrie-pages v1, verifyFile', engine: 'artrie-pages' },
      () => course.process('check', { peer: 'artrie-pages-v1', way: 0, folder }),
      gigabytesPerSecond,
    ),
    ...['1', '2'].map((jobs): Entrant => ({
      name: `artrie-pages v1, command verify --jobs ${jobs}`,
      engine: 'artrie-pages',
      run: async () => gigabytes / (await runTool(course, ['verify', '--quiet', '--jobs', jobs, path])).seconds,
    })),
    course.lasting(
      { name: BARE, engine: 'bare' },
      () => course.process('bare-checksum', { peer: 'bare', way: 0, folder: path }),
      gigabytesPerSecond,
    ),
    course.lasting(
      { name: 'read 256 KiB into one buffer', engine: 'read' },
      () => course.process('bare-read', { peer: 'bare', way: 0, folder: path }),
      gigabytesPerSecond,
    ),
  ];
  const sqlite = course.peers.find(({ engine }) => engine === 'sqlite');
  if (sqlite !== undefined) {
    const own = await course.filesOf(sqlite);
    entrants.push(
      course.lasting(
        { name: 'better-sqlite3, integrity_check', engine: 'sqlite' },
        () => course.process('check', { peer: sqlite.id, way: 0, folder: own }),
        gigabytesPerSecond,
      ),
    );
  }
  return {
    name: 'verify',
    title: 'Checking all bytes of a file',
    unit: 'GB/s',
    better: 'higher',
    opponents: ['bare', 'sqlite', 'read'],
    rows: await race(
      entrants.filter(({ name }) => course.matches(name)),
      course.settings.rounds,
      course.settings.warmUp,
    ),
    aims: ({ name }) =>
      name.endsWith('2')
        ? [{ to: 'bare', least: 1.1 }]
        : [
            { to: 'bare', least: 0.65 },
            { to: 'sqlite', least: 4 },
          ],
    notes: [`The file has ${Math.round(bytesOf(path) / 2 ** 20)} MiB, that of SQLite is the one that is read above.`],
  };
}

const FILLED = new WeakMap<Course, string>();

/** A folder with a file of at least so many MiB: the nodes, over and over. */
export async function verifiedFile(course: Course): Promise<string> {
  const filled = FILLED.get(course);
  if (filled !== undefined) return filled;
  const { sources, nodes, verifyMiB } = course.settings;
  const { PageStore } = (await import(sources.library)) as typeof Library;
  const folder = course.folder();
  const path = join(folder, NAME);
  if (existsSync(path)) throw new Error(`${path} is there already`);
  const store = await PageStore.create(path);
  const { bytes, lengths } = makeWorkload(nodes);
  while (bytesOf(path) < verifyMiB * 2 ** 20) await store.appendMany(bytes, lengths);
  await store.close();
  FILLED.set(course, folder);
  return folder;
}
