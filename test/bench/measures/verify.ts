import { join } from 'node:path';
import { bytesOf, type Course, gigabytesPerSecond } from '../course.ts';
import { type Entrant, race } from '../race.ts';
import type { Measure } from '../result.ts';
import { FILLED_FILE, filledFolder } from './filled-file.ts';
import { limitEntrant } from './limits.ts';
import { runTool } from '../run-program.ts';

export async function verify(course: Course): Promise<Measure> {
  const folder = await filledFolder(course);
  const path = join(folder, FILLED_FILE);
  const gigabytes = bytesOf(path) / 1e9;
  const entrants: Entrant[] = [
    course.lasting(
      { name: 'artrie-pages v1, verify', engine: 'artrie-pages' },
      () => course.process('check', { peer: 'artrie-pages-v1', way: 0, folder }),
      gigabytesPerSecond,
    ),
    ...['1', '2'].map((jobs): Entrant => ({
      name: `artrie-pages v1, command verify --jobs ${jobs}`,
      engine: 'artrie-pages',
      run: async () => gigabytes / (await runTool(course, ['verify', '--quiet', '--jobs', jobs, path])).seconds,
    })),
    limitEntrant(course, 'read and crc', 'bare', path),
    limitEntrant(course, 'read', 'read', path),
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
    notes: [
      `The file has ${Math.round(bytesOf(path) / 2 ** 20)} MiB, that of SQLite the nodes once. Commands are timed from their start to their end.`,
    ],
  };
}
