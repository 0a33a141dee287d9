import { type Course, thousandsPerSecond } from '../course.ts';
import { type Entrant, race } from '../race.ts';
import type { Measure } from '../result.ts';

const OPPONENTS = ['lmdb', 'sqlite', 'level', 'bare'];

export async function bulkAppend(course: Course): Promise<Measure> {
  const entrants = course.peers.flatMap((peer) =>
    peer.appends.map(({ name }, way) =>
      course.lasting(
        { name, engine: peer.engine },
        () => course.process('append', { peer: peer.id, way, folder: course.folder() }),
        thousandsPerSecond,
      ),
    ),
  );
  return {
    name: 'append',
    title: 'Bulk append, durable at the end',
    unit: 'k nodes/s',
    better: 'higher',
    opponents: OPPONENTS,
    rows: await race(matching(course, entrants), course.settings.rounds, course.settings.warmUp),
    aims: ({ name }) => [
      { to: 'lmdb', least: name.includes('appendMany(bytes') ? 4 : 3 },
      { to: 'sqlite', least: 5 },
    ],
  };
}

export async function coldReads(course: Course): Promise<Measure> {
  return {
    ...(await reads(course, 'cold')),
    name: 'cold',
    title: 'Random reads by a new process, the opening of the file in it',
    aims: () => [
      { to: 'lmdb', least: 1.3 },
      { to: 'sqlite', least: 4 },
    ],
  };
}

export async function warmReads(course: Course): Promise<Measure> {
  return {
    ...(await reads(course, 'warm')),
    name: 'warm',
    title: 'Random reads by a process that has read before',
    aims: ({ kind }) => [{ to: 'lmdb', least: kind === 'view' ? 3 : 2 }],
  };
}

async function reads(
  course: Course,
  task: 'cold' | 'warm',
): Promise<Pick<Measure, 'unit' | 'better' | 'opponents' | 'rows'>> {
  const entrants: Entrant[] = [];
  for (const peer of course.peers) {
    for (const [way, { name, kind }] of peer.reads.entries()) {
      if (!course.matches(name)) continue;
      const folder = await course.filesOf(peer);
      entrants.push(
        course[task === 'cold' ? 'fresh' : 'lasting'](
          // What can only copy is compared with both.
          { name, engine: peer.engine, ...(peer.reads.length > 1 ? { kind } : {}) },
          () => course.process(task, { peer: peer.id, way, folder }),
          thousandsPerSecond,
        ),
      );
    }
  }
  const rows = await race(entrants, course.settings.rounds, course.settings.warmUp);
  return { unit: 'k reads/s', better: 'higher', opponents: OPPONENTS, rows };
}

export async function scans(course: Course): Promise<Measure> {
  const entrants: Entrant[] = [];
  for (const peer of course.peers) {
    for (const [way, { name, kind }] of peer.scans.entries()) {
      if (!course.matches(name)) continue;
      const folder = await course.filesOf(peer);
      entrants.push(
        course.lasting(
          { name, engine: peer.engine, ...(peer.scans.length > 1 ? { kind } : {}) },
          () => course.process('scan', { peer: peer.id, way, folder }),
          (sample) => thousandsPerSecond(sample) / 1000,
        ),
      );
    }
  }
  return {
    name: 'scan',
    title: 'Scan of all nodes in their order',
    unit: 'M nodes/s',
    better: 'higher',
    opponents: OPPONENTS,
    rows: await race(entrants, course.settings.rounds, course.settings.warmUp),
    aims: ({ kind }) => [{ to: 'lmdb', least: kind === 'cursor' ? 8 : 4 }],
  };
}

function matching(course: Course, entrants: readonly Entrant[]): Entrant[] {
  return entrants.filter(({ name }) => course.matches(name));
}
